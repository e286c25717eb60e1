#include "eval/chair_objects.h"

namespace binocle::eval {
namespace {

// clang-format off
constexpr ObjectWords kObjects[] = {
    {"airplane",
     "air plane, airbus, aircraft, biplane, jet, jetliner, monoplane, plane, seaplane"},
    {"apple", ""},
    {"backpack", "knapsack"},
    {"banana", ""},
    {"baseball bat", ""},
    {"baseball glove", ""},
    {"bear", "panda"},
    {"bed", ""},
    {"bench", "pew"},
    {"bicycle", "bike, minibike, trike, unicycle"},
    {"bird",
     "blackbird, bluebird, bluejay, buzzard, chickadee, cockatiel, cockatoo, condor, "
     "cormorant, cowbird, crow, duck, egret, falcon, finch, flamingo, fowl, goose, gosling, "
     "gull, heron, hummingbird, kingfisher, loon, lorikeet, macaw, magpie, mallard, oriole, "
     "osprey, ostrich, owl, parakeet, parrot, peacock, peafowl, pelican, pheasant, pigeon, "
     "puffin, quail, raven, robin, rooster, sandpiper, seabird, seagull, shorebird, "
     "songbird, sparrow, swan, turkey, vulture, warbler, waterbird, waterfowl, willet, "
     "woodpecker"},
    {"boat",
     "barge, battleship, canoe, catamaran, dinghy, ferry, ferryboat, freighter, houseboat, "
     "kayak, lifeboat, liner, motorboat, paddleboat, pontoon, powerboat, riverboat, "
     "rowboat, sailboard, sailboat, schooner, ship, skiff, speedboat, steamboat, steamship, "
     "trawler, tugboat, vessel, watercraft, yacht"},
    {"book", ""},
    {"bottle", ""},
    {"bowl", "container"},
    {"broccoli", ""},
    {"bus", "minibus, trolley"},
    {"cake", "coffeecake, cupcake, pancake, shortcake"},
    {"car",
     "automobile, cab, coupe, hatchback, jeep, limo, minivan, sedan, suv, taxi, taxicab, "
     "van"},
    {"carrot", ""},
    {"cat", "feline, kitten, tabby"},
    {"cell phone", "cellphone, mobile phone, phone, smartphone, telephone"},
    {"chair", "seat, stool"},
    {"clock", ""},
    {"couch", "chesterfield, futon, loveseat, recliner, settee, sofa"},
    {"cow", "bison, buffalo, bull, calf, cattle, heifer, holstein, ox, oxen, zebu"},
    {"cup", ""},
    {"dining table", "desk, table"},
    {"dog",
     "beagle, brindle, bulldog, canine, chihuahua, cocker, collie, corgi, dachshund, "
     "doberman, doggie, doggy, greyhound, hound, husky, labrador, mutt, pitbull, poodle, "
     "pug, pup, puppy, retriever, rottweiler, schnauzer, sheepdog, spaniel, terrier, "
     "weimaraner, whippet"},
    {"donut", "bagel, doughnut"},
    {"elephant", ""},
    {"fire hydrant", "hydrant"},
    {"fork", ""},
    {"frisbee", ""},
    {"giraffe", ""},
    {"hair drier", "hairdryer"},
    {"handbag", "briefcase, purse, wallet"},
    {"horse",
     "bronc, bronco, clydesdale, colt, equine, foal, mare, mustang, palomino, pony, "
     "racehorse, stallion"},
    {"hot dog", ""},
    {"keyboard", ""},
    {"kite", ""},
    {"knife", "pocketknife"},
    {"laptop", "computer, laptop computer, lenovo, macbook, netbook, notebook"},
    {"microwave", ""},
    {"motorcycle", "moped, motor cycle, motorbike, scooter"},
    {"mouse", ""},
    {"orange", ""},
    {"oven", "stove, stovetop"},
    {"parking meter", ""},
    {"person",
     "adult, baby, baker, bicyclist, biker, boy, bride, buyer, caller, camper, chef, child, "
     "children, cop, cowboy, coworker, doctor, drinker, driver, father, female, foreigner, "
     "gentleman, girl, grandchild, groom, guy, hunter, kid, lady, male, man, mother, "
     "offender, officer, passenger, patient, people, pitcher, player, policeman, "
     "politician, rider, serviceman, shopper, sister, skateboarder, skater, skier, "
     "snowboarder, soldier, student, teenager, thief, traveler, trespasser, villager, "
     "walker, woman, worker"},
    {"pizza", ""},
    {"potted plant", "houseplant"},
    {"refrigerator", "freezer, fridge"},
    {"remote", ""},
    {"sandwich", "burger, cheeseburger, hamburger, sub"},
    {"scissors", ""},
    {"sheep", "ewe, goat, lamb, ram"},
    {"sink", ""},
    {"skateboard", ""},
    {"skis", "ski"},
    {"snowboard", ""},
    {"spoon", ""},
    {"sports ball", "ball"},
    {"stop sign", ""},
    {"suitcase", "luggage, suit case"},
    {"surfboard", "longboard, shortboard, skimboard, wakeboard"},
    {"teddy bear", "teddybear"},
    {"tennis racket", "racket"},
    {"tie", "bow"},
    {"toaster", ""},
    {"toilet", "commode, lavatory, potty, urinal"},
    {"toothbrush", ""},
    {"traffic light", "stop light, stoplight, street light, streetlight, traffic signal"},
    {"train", "caboose, locomotive, tramway"},
    {"truck", "firetruck, hauler, lorry, pickup"},
    {"tv", "monitor, television"},
    {"umbrella", ""},
    {"vase", ""},
    {"wine glass", ""},
    {"zebra", ""},
};

// A baby elephant is an elephant and no person, a passenger train no passenger.
constexpr WordPair kPairs[] = {
    {"adult animal", "animal"}, {"adult bear", "bear"}, {"adult bird", "bird"},
    {"adult cat", "cat"}, {"adult cow", "cow"}, {"adult cub", "cub"}, {"adult dog", "dog"},
    {"adult elephant", "elephant"}, {"adult giraffe", "giraffe"}, {"adult horse", "horse"},
    {"adult sheep", "sheep"}, {"adult zebra", "zebra"}, {"air plane", "air plane"},
    {"baby animal", "animal"}, {"baby bear", "bear"}, {"baby bird", "bird"}, {"baby cat", "cat"},
    {"baby cow", "cow"}, {"baby cub", "cub"}, {"baby dog", "dog"}, {"baby elephant", "elephant"},
    {"baby giraffe", "giraffe"}, {"baby horse", "horse"}, {"baby sheep", "sheep"},
    {"baby zebra", "zebra"}, {"baseball bat", "baseball bat"},
    {"baseball glove", "baseball glove"}, {"bow tie", "tie"}, {"cell phone", "cell phone"},
    {"fire hydrant", "fire hydrant"}, {"hair drier", "hair drier"}, {"home plate", "home plate"},
    {"hot dog", "hot dog"}, {"laptop computer", "laptop computer"},
    {"mobile phone", "mobile phone"}, {"motor bike", "motor bike"},
    {"motor cycle", "motor cycle"}, {"parking meter", "parking meter"}, {"passenger jet", "jet"},
    {"passenger train", "train"}, {"potted plant", "potted plant"},
    {"sports ball", "sports ball"}, {"stop light", "stop light"}, {"stop sign", "stop sign"},
    {"street light", "street light"}, {"suit case", "suit case"}, {"teddy bear", "teddy bear"},
    {"tennis racket", "tennis racket"}, {"toilet seat", "toilet"},
    {"traffic light", "traffic light"}, {"traffic signal", "traffic signal"},
    {"train track", "train track"}, {"wine glass", "wine glass"},
};
// clang-format on

}  // namespace

const std::span<const ObjectWords> kChairObjects = kObjects;
const std::span<const WordPair> kChairPairs = kPairs;

}  // namespace binocle::eval
