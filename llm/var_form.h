// Where VAR's released code departs from its paper: one switch for each difference, in the order of docs/interventions.md.
#pragma once

namespace binocle {

struct VarForm {
  // 1. Sinks. φ with the mean square raised by 1e-6, and more than tau; tau itself is not enough.
  bool strict_phi = false;
  // Only tokens of the prompt are sinks, generated ones never.
  bool prompt_sinks_only = false;
  // 2. Heads. rho is the most that visual sinks may have of the visual mass, not the least that content must have.
  bool rho_bounds_sinks = false;
  // A layer without a visual sink is left alone, whatever sinks the text has.
  bool needs_visual_sink = false;
  // 3. p is what sinks keep, not what they give away.
  bool p_is_kept = false;
  // 4. Rows after the last picture alone, not all rows of text.
  bool rows_after_pictures = false;
  // 5. By default the last layer too.
  bool last_layer = false;
};

inline constexpr VarForm kPaperForm{};
inline constexpr VarForm kReleasedForm{.strict_phi = true,
                                       .prompt_sinks_only = true,
                                       .rho_bounds_sinks = true,
                                       .needs_visual_sink = true,
                                       .p_is_kept = true,
                                       .rows_after_pictures = true,
                                       .last_layer = true};

}  // namespace binocle
