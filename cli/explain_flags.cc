#include "cli/explain_flags.h"

#include "cli/commands.h"
#include "cli/ranges.h"

namespace binocle::cli {
namespace {

void AddFaithfulness(CLI::App& command, ExplainFlags& flags) {
  const auto number = [&](const char* name, auto& value, const char* what) {
    command.add_option(name, value, what)
        ->check(IsInteger(name))
        ->capture_default_str()
        ->group("Faithfulness");
  };
  command
      .add_flag("--faithfulness", flags.measure,
                "measure how far the maps tell what the answer depends on: parts of the pictures\n"
                "are covered and the answer is scored again (minutes for a large model)")
      ->group("Faithfulness");
  number("--blocks", flags.faithfulness.blocks, "most parts of a picture");
  number("--curve-points", flags.faithfulness.curve_points, "steps of a deletion curve");
  command
      .add_flag("--word-curves", flags.faithfulness.word_curves, "deletion curves for every word")
      ->group("Faithfulness");
}

}  // namespace

void ExplainFlags::Add(CLI::App& command) {
  command.add_option("prompt", prompt, "the question");
  command.add_option("--image", images, "JPEG, PNG or WebP file (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command.add_option("--out", out, "folder for a PNG per word of the answer and explanation.json")
      ->check(NotEmpty("--out", "a path"));
  command.add_flag("--overwrite", overwrite, "replace an explanation in that folder");
  command.add_flag("--json", json, "print explanation.json instead of tables");
  command.add_option("--layers", layers, "layers that maps are means over: 2-5 (default: all)")
      ->check(NotEmpty("--layers", "layers such as 2-30"));
  command.add_option("--heads", heads, "heads that maps are means over: 0+3 (default: all)")
      ->check(NotEmpty("--heads", "integers with + between them"));
  command.add_option("--cosine", options.cosine, "threshold of the second sink detector")
      ->capture_default_str();
  command.add_option("--side", overlay.side, "pixels of an overlay's shorter side, at least")
      ->check(IsInteger("--side"))
      ->capture_default_str();
  command
      .add_option("--peak", overlay.peak,
                  "weight with the brightest colour, the same for all maps (0: each map's largest)")
      ->capture_default_str();
  AddFaithfulness(command, *this);
  generation.Add(command);
}

void ExplainFlags::Check(const std::string& command) const {
  if (prompt.empty())
    throw UsageError{"the question is missing: " + command +
                     " --image FILE --out DIR \"question\""};
  if (out.empty()) throw UsageError{"--out is missing, expected a folder to write to"};
  if (images.empty()) throw UsageError{"--image is missing, expected at least one picture"};
  CheckOverlay(overlay);
}

Request ExplainFlags::MakeRequest() const {
  Request request = generation.Defaults();
  Message message{.role = MessageRole::kUser, .text = prompt, .images = {}};
  for (const std::string& image : images) message.images.push_back(generation.Picture(image));
  request.messages.push_back(std::move(message));
  return request;
}

ExplainOptions ExplainFlags::MakeOptions() const {
  ExplainOptions o = options;
  if (!layers.empty() && !ReadLayers(layers, o.layers.emplace()))
    throw UsageError{"--layers is " + layers + ", expected layers such as 2-30"};
  if (!heads.empty() && !ReadIntegers(heads, o.heads))
    throw UsageError{"--heads is " + heads + ", expected integers with + between them"};
  if (!measure &&
      (faithfulness.word_curves || faithfulness.blocks != FaithfulnessOptions{}.blocks ||
       faithfulness.curve_points != FaithfulnessOptions{}.curve_points))
    throw UsageError{"--blocks, --curve-points and --word-curves go with --faithfulness"};
  if (measure) {
    o.faithfulness = faithfulness;
    o.faithfulness->seed = generation.generation.seed;
  }
  return o;
}

}  // namespace binocle::cli
