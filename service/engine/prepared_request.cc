#include "service/engine/prepared_request.h"

#include <utility>
#include <variant>

#include "core/error.h"

namespace binocle {
namespace {

// The prompt without its pictures: what image-free guidance compares with.
ExpandedPrompt WithoutImages(const ExpandedPrompt& prompt) {
  ExpandedPrompt text;
  int64_t at = 0;
  const auto copy_to = [&](int64_t end) {
    text.ids.insert(text.ids.end(), prompt.ids.begin() + at, prompt.ids.begin() + end);
  };
  for (const ImageSpan& image : prompt.images) {
    copy_to(image.first_position);
    at = image.first_position + image.tokens;
  }
  copy_to(std::ssize(prompt.ids));
  if (text.ids.empty()) ThrowInvalid("guidance: nothing is left of the prompt without its picture");
  return text;
}

LayerPlan PlanOf(const AttentionOptions& asked, const LayerPlan& loaded) {
  LayerOverrides overrides{
      .attention = {}, .composite_layers = asked.composite_layers, .aligner = asked.aligner};
  if (asked.kind) {
    overrides.attention =
        *asked.kind == AttentionKind::kStock ? LayerKind::kStock : LayerKind::kComposite;
  }
  return OverridePlan(loaded, overrides);
}

LeadingText LeadingTextOf(const Request& request) {
  return request.prompt_format == PromptFormat::kChat ? LeadingText::kDropSpace
                                                      : LeadingText::kKeep;
}

}  // namespace

bool TakesLongToRead(const Request& request, Constraints& constraints) {
  constexpr size_t kLongBytes = 32 << 10;  // tokens of a megabyte take a second
  size_t bytes = request.system ? request.system->size() : 0;
  for (const Message& message : request.messages) bytes += message.text.size();
  const bool constrained = !std::holds_alternative<std::monostate>(request.constraint);
  return bytes > kLongBytes ||
         (constrained && !constraints.Has(request.constraint, LeadingTextOf(request)));
}

PreparedRequest::PreparedRequest(const LoadedModel& loaded, Request asked)
    : request(std::move(asked)) {
  RenderedPrompt rendered = RenderPrompt(request, loaded.model);
  const int64_t pictures = std::ssize(PicturesOf(request));
  plan = PlanOf(request.attention, loaded.model.config().layers);
  interventions = ResolveInterventions(request.interventions, loaded.model.config().text,
                                       loaded.calibration, pictures);
  sink_dims = SinkDimsOf(interventions, loaded.calibration);
  const ImageEncoder::Use use{.plan = plan, .dims = sink_dims, .company = CompanyIn(request)};
  std::vector<int64_t> image_tokens;
  for (Message& message : request.messages) {
    for (ImageInput& image : message.images) {
      waiting_images.push_back(loaded.images.Read(std::move(image), use));
      image_tokens.push_back(waiting_images.back().picture.tokens);
    }
  }
  prompt =
      ExpandRendered(std::move(rendered), loaded.model, image_tokens, loaded.info.context_tokens);
  if (interventions.guidance) other_prompt = WithoutImages(prompt.expanded);
  if (interventions.vcd) other_prompt = prompt.expanded;
  constraint = loaded.constraints.Compile(request.constraint, LeadingTextOf(request));
}

int64_t PreparedRequest::pixels_to_decode() const {
  int64_t pixels = 0;
  for (const ImageEncoder::Waiting& waiting : waiting_images)
    if (waiting.image == nullptr || interventions.vcd) pixels += waiting.file_pixels;
  return pixels;
}

void PreparedRequest::DecodePictures(const ImageEncoder& encoder,
                                     const std::function<bool()>& keep_going) {
  for (ImageEncoder::Waiting& waiting : waiting_images) {
    if (keep_going && !keep_going()) return;
    encoder.Decode(waiting);
    if (!interventions.vcd) continue;
    noised_pixels.push_back(waiting.pixels.empty() ? encoder.PixelsOf(waiting)
                                                   : waiting.pixels.Clone());
  }
}

int64_t PreparedRequest::decoded_bytes() const {
  int64_t bytes = 0;
  for (const ImageEncoder::Waiting& waiting : waiting_images) bytes += waiting.pixels.bytes();
  for (const ModelPixels& pixels : noised_pixels) bytes += pixels.bytes();
  return bytes;
}

PreparedRequest::PreparedRequest(const LoadedModel& loaded, Request asked, ExpandedPrompt expanded,
                                 std::vector<SharedImage> given)
    : request(std::move(asked)),
      prompt{.expanded = std::move(expanded), .stops = {}},
      plan(PlanOf(request.attention, loaded.model.config().layers)),
      interventions(ResolveInterventions(request.interventions, loaded.model.config().text,
                                         loaded.calibration, std::ssize(given))),
      sink_dims(SinkDimsOf(interventions, loaded.calibration)),
      images(std::move(given)) {
  BINOCLE_CHECK(!paired(), "scores are of one sequence");
}

}  // namespace binocle
