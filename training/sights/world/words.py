"""What can be written: words, numbers, plates, and the fonts."""

from __future__ import annotations

import random
from functools import lru_cache

from PIL import ImageFont

from . import objects

_TRUE, _OPEN = "/usr/share/fonts/truetype/", "/usr/share/fonts/opentype/"
# Family -> files. One family of each sort of letter: the towers must read shapes, not one designer's outlines.
FAMILIES = {
    "dejavu sans": (_TRUE + "dejavu/DejaVuSans.ttf", _TRUE + "dejavu/DejaVuSans-Bold.ttf"),
    "dejavu serif": (_TRUE + "dejavu/DejaVuSerif.ttf", _TRUE + "dejavu/DejaVuSerif-Bold.ttf"),
    "dejavu mono": (_TRUE + "dejavu/DejaVuSansMono.ttf", _TRUE + "dejavu/DejaVuSansMono-Bold.ttf"),
    "liberation sans": (_TRUE + "liberation/LiberationSans-Regular.ttf", _TRUE + "liberation/LiberationSans-Bold.ttf"),
    "liberation serif": (_TRUE + "liberation/LiberationSerif-Regular.ttf", _TRUE + "liberation/LiberationSerif-Bold.ttf"),
    "liberation mono": (_TRUE + "liberation/LiberationMono-Regular.ttf", _TRUE + "liberation/LiberationMono-Bold.ttf"),
    "lato": (_TRUE + "lato/Lato-Regular.ttf", _TRUE + "lato/Lato-Black.ttf"),
    "open sans": (_TRUE + "open-sans/OpenSans-Semibold.ttf", _TRUE + "open-sans/OpenSans-CondBold.ttf"),
    "carlito": (_TRUE + "crosextra/Carlito-Regular.ttf", _TRUE + "crosextra/Carlito-Bold.ttf"),
    "caladea": (_TRUE + "crosextra/Caladea-Regular.ttf", _TRUE + "crosextra/Caladea-Bold.ttf"),
    "comic neue": (_OPEN + "comic-neue/ComicNeue-Regular.otf", _OPEN + "comic-neue/ComicNeue-Bold.otf"),
    "quicksand": (_TRUE + "quicksand/Quicksand-Medium.ttf", _TRUE + "quicksand/Quicksand-Bold.ttf"),
    "inconsolata": (_TRUE + "inconsolata/Inconsolata.otf",),
    "courier prime": (_OPEN + "courier-prime/Courier Prime.otf", _OPEN + "courier-prime/Courier Prime Bold.otf"),
    "roboto slab": (_OPEN + "roboto/slab/RobotoSlab-Regular.otf", _OPEN + "roboto/slab/RobotoSlab-Bold.otf"),
    "dosis": (_OPEN + "dosis/Dosis-Medium.otf", _OPEN + "dosis/Dosis-Bold.otf"),
    "cabin": (_OPEN + "cabin/Cabin-Regular.otf", _OPEN + "cabin/Cabin-Bold.otf"),
    "vollkorn": (_TRUE + "vollkorn/Vollkorn-Regular.ttf", _TRUE + "vollkorn/Vollkorn-Bold.ttf"),
    "play": (_TRUE + "play/Play-Regular.ttf", _TRUE + "play/Play-Bold.ttf"),
}
FONTS = tuple(path for files in FAMILIES.values() for path in files)

_COMMON = """
able about above acid across act add age ago air alarm album alive all alone along also amber angle any apple april
arch area arm army arrow art ask atlas aunt autumn award away baby back bacon badge bake ball band bank bar barn base
bath beach beam bean bear beast beat beauty bed bee beef bell belt bench best better big bike bill bird birth bite black
blade blank blaze blind block blood bloom blow blue board boat body bold bolt bomb bone book boot border born boss both
bottle bottom bowl box boy brain brand brass brave bread break breeze brick bridge brief bright bring broad bronze brown
brush bubble build bull bump burn bus busy butter button buy cabin cable cafe cage cake call calm camera camp canal
candle candy cannon canvas cape car carbon card care cargo carpet carry cart case cash castle catch cave cell centre
chain chair chalk chance change chart chase cheap check cheese chef cherry chess chest chief child choice church cider
cinema circle city civil claim class clay clean clear clever cliff climb clock close cloth cloud clover club coach coal
coast coat cocoa code coffee coin cold colour comet comic common copper copy coral cord cork corn corner cost cotton
count court cousin cover cow craft crane cream creek crew crisp cross crowd crown cruise cup curve cycle daily dairy
daisy dance danger dark data dawn day deal dear deep deer delta demo desert desk detail dial diary diet dinner dish
diver dock doctor dog doll dollar dome door double down dragon draw dream dress drink drive drop drum dry duck dust
eagle early earth east easy echo edge editor egg eight elbow empty end energy engine enjoy enter equal escape evening
event every exact exam exit expert extra eye fabric face fact fair faith fall family famous fan farm fast father
feast feather fence ferry festival few field fifty fight film final find finger finish fire first fish five flag flame
flash flat flight float floor flour flow flower fly fog fold folk follow food foot forest forge forty fossil four fox
frame free fresh friend frog front frost fruit fuel full fun funny future galaxy game garage garden gas gate ghost
giant gift ginger girl give glad glass globe glory glove glow goal goat gold golf good grade grain grand grape grass
gravity great green grey grid grill ground group grove guard guest guide guitar gulf hair half hall hammer hand happy
harbour hard harvest hat hawk hay head health heart heat heavy hello help herb hero hide high hike hill history hobby
hockey hold hole holiday home honey hood hope horn horse hotel hour house huge human humble hundred hunt hut ice icon
idea inch index ink inn insect inside iron island ivory ivy jacket jam jazz jeans jelly jet jewel join joke journal joy
judge juice july jump june jungle junior just keen keep kettle key kind king kiosk kitchen kite knight knock knot label
lace ladder lake lamb lamp land lane large last late laugh launch law lead leaf learn leather left legend lemon lesson
letter level library life lift light lily lime limit line lion liquid list little live lizard local lock logo long look
lost lotus loud love low loyal luck lunch machine magic magnet mail main make mango map maple marble march margin market
mask match math meadow meal meat medal melon memory menu metal meter middle mild milk mill mind mine mint minute mirror
mist mix model modern moment monday money monkey month moon morning moss most mother motor mountain mouse mouth move
movie mud museum music nail name napkin narrow nature near neck need neon nest net never new news next nice night nine
noble noise noon north nose note novel number nurse oak oasis ocean office oil old olive once one onion only open opera
orange orbit order organ other otter outside oval oven owl pack page paint pair palace palm panda paper parade park
party pass past pasta path peace peach peak pear pearl pen pencil people pepper perfect phone photo piano picnic picture
pie pilot pine pink pipe pitch pizza place plain plan planet plant plate play plaza plenty plum pocket poem point police
pond pony pool poppy porch port post pot potato powder power press price pride prime prince print prize proud public
pump pure purple push puzzle quality quarter queen quest quick quiet quiz rabbit race radio rain ranch range rapid rare
ready real recipe red reef relax rent repair rest result ribbon rice rich ride right ring ripe rise river road roast
robot rock rocket roof room root rope rose round route royal rubber rugby rule run rush sad saddle safe sail salad sale
salt sand school science scout sea season seat second secret seed senior seven shade shadow shape share shark sharp
sheep shelf shell shine ship shirt shoe shop shore short show sign silent silk silver simple single sister six size
skate sketch ski skill sky sleep slow small smart smile smoke smooth snack snake snow soap soccer soft soil solar solid
son song soon soul sound soup south space spark speed spice spider spin spirit spoon sport spot spring square stable
staff stage stair stamp stand star start state station stay steam steel stem step stew stock stone stop store storm
story street strong studio study style sugar summer sun sunday supper sure surf swan sweet swim switch table taste taxi
tea teach team temple ten tennis tent test text thank theatre thick thin thing think thirty three thumb thunder ticket
tide tiger time tin tiny tip toast today toe toll tomato tool top torch total touch tour towel tower town toy track
trade trail train travel treat tree trend tribe trip trophy truck true trust truth tube tulip tuna tunnel turn turtle
twelve twenty twice twin two type uncle under union unit upper urban useful valley value van vanilla velvet venue very
video view villa village violet visit voice volume wagon wait walk wall want warm wash watch water wave wax way weather
web week welcome well west whale wheat wheel when whistle white wide wild wind window wine wing winter wish wolf wonder
wood wool word work world yard year yellow yes young youth zebra zero zone zoo
"""
WORDS = tuple(dict.fromkeys(w for w in (_COMMON.split() + [n for n in objects.NAMES if n.isalpha()])
                            if 2 <= len(w) <= 9))
TRAIN_WORDS = tuple(w for w in WORDS if not objects.held_out_word(w))
HELD_OUT_WORDS = tuple(w for w in WORDS if objects.held_out_word(w))
_CLEAR = "ABCDEFGHJKLMNPRSTUVWXYZ"  # without what looks like a digit beside digits
_VOWELS, _CONSONANTS = "AEIOU", "BCDFGHJKLMNPRSTVWXYZ"


@lru_cache(maxsize=4096)
def font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def number(rng: random.Random) -> str:
    digits = rng.choices((1, 2, 3, 4), weights=(20, 40, 25, 15))[0]
    return str(rng.randrange(10 ** (digits - 1) if digits > 1 else 1, 10 ** digits))


def plate(rng: random.Random) -> str:
    """A code like a number plate's: letters that no digit resembles, then digits without 0 and 1."""
    letters = "".join(rng.choice(_CLEAR) for _ in range(rng.randint(1, 3)))
    return letters + " " + "".join(rng.choice("23456789") for _ in range(rng.randint(2, 3)))


def invented(rng: random.Random) -> str:
    """A word that is none, so that letters are read and not guessed."""
    length = rng.randint(3, 8)
    start = rng.random() < 0.5
    return "".join(rng.choice(_VOWELS if (i % 2 == 0) == start else _CONSONANTS) for i in range(length))


def phrase(rng: random.Random, pool: tuple[str, ...], words: int, longest: int = 8) -> list[str]:
    return [rng.choice([w for w in rng.choices(pool, k=8) if len(w) <= longest] or ["open"]) for _ in range(words)]


def sort_of(text: str) -> str:
    """"number", "word" or "text": how a question may call it."""
    if text.replace(" ", "").isdigit():
        return "number"
    return "word" if text.isalpha() else "text"
