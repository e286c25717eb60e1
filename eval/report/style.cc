#include "eval/report/style.h"

namespace binocle::eval {

// The colours are those of the page that binocle serve has (service/http/page).
std::string_view PageStyle() {
  return R"css(:root {
  --ground: #f3f5f7; --surface: #ffffff; --sunk: #e9edf1; --line: #d3dae1; --text: #15191e; --muted: #57626e;
  --accent: #0b6b73; --tint: #d8eef0; --bad: #a3261d; --good: #1d6b34; --shade: #57626e66;
  --s0: #0b6b73; --s1: #a3491d; --s2: #5b3fa0; --s3: #66700f; --s4: #a31d6f; --s5: #2458a8;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1317; --surface: #181d23; --sunk: #232a32; --line: #303841; --text: #e8ecf0; --muted: #9aa6b2;
    --accent: #62ccd4; --tint: #173a40; --bad: #ffab9f; --good: #8fdda6; --shade: #000000b0;
    --s0: #62ccd4; --s1: #f0a070; --s2: #b9a3f5; --s3: #c9d36a; --s4: #f08cc8; --s5: #8cb8ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); }
h1, h2, h3, p, figure, dl, dd { margin: 0; }
header {
  padding: .9rem clamp(1rem, 4vw, 2rem);
  border-bottom: 1px solid var(--line); background: var(--surface);
}
header h1 { font-size: 1.25rem; font-weight: 650; }
header p { color: var(--muted); overflow-wrap: anywhere; }
main {
  display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr);
  max-width: 76rem; margin: 0 auto; padding: 1.25rem clamp(.75rem, 4vw, 2rem) 2rem;
}
section {
  display: grid; gap: .9rem; grid-template-columns: minmax(0, 1fr);
  padding: 1rem; background: var(--surface); border: 1px solid var(--line); border-radius: .75rem;
}
h2 { font-size: 1.15rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin-top: .5rem; }
.note { color: var(--muted); font-size: .92rem; overflow-wrap: anywhere; max-width: 60rem; }
.bad { color: var(--bad); } .good { color: var(--good); }

/* A shadow at each end that something lies behind: covers that go along with the content hide it where nothing does. */
.scroll {
  overflow-x: auto;
  background:
    linear-gradient(to right, var(--surface) 40%, transparent) local 0 0 / 2.5rem 100% no-repeat,
    linear-gradient(to left, var(--surface) 40%, transparent) local 100% 0 / 2.5rem 100% no-repeat,
    linear-gradient(to right, var(--shade), transparent) scroll 0 0 / .8rem 100% no-repeat,
    linear-gradient(to left, var(--shade), transparent) scroll 100% 0 / .8rem 100% no-repeat;
}
dd {
  overflow-wrap: anywhere; overflow-y: auto;
  max-height: 24em; /* 16 whole lines */
  background:
    linear-gradient(to bottom, var(--surface) 40%, transparent) local 0 0 / 100% 2.5rem no-repeat,
    linear-gradient(to top, var(--surface) 40%, transparent) local 0 100% / 100% 2.5rem no-repeat,
    linear-gradient(to bottom, var(--shade), transparent) scroll 0 0 / 100% .7rem no-repeat,
    linear-gradient(to top, var(--shade), transparent) scroll 0 100% / 100% .7rem no-repeat;
}

table { border-collapse: collapse; font-size: .92rem; }
th, td {
  padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  text-align: right; vertical-align: baseline; white-space: nowrap; font-variant-numeric: tabular-nums;
}
tr > :last-child { padding-right: 0; }
th:first-child {
  min-width: 6rem; max-width: 24rem;
  text-align: left; white-space: normal; overflow-wrap: break-word;
}
thead th { color: var(--muted); font-weight: 500; }
tbody th { font-weight: 500; }
.interval { color: var(--muted); margin-left: .4rem; white-space: nowrap; }
.folder { display: block; color: var(--muted); font-size: .85rem; overflow-wrap: anywhere; }
.missing { display: block; color: var(--bad); font-size: .85rem; white-space: normal; max-width: 16rem; margin-left: auto; }
.bar {
  display: inline-block; position: relative; width: 9rem; height: .75rem;
  background: var(--sunk); border-radius: .2rem; vertical-align: baseline;
}
.bar i, .bar b, .bar s { position: absolute; top: 0; height: 100%; }
.bar i { background: var(--accent); opacity: .4; min-width: 1px; }
.bar b { width: 3px; margin-left: -1.5px; background: var(--accent); }
.bar s { width: 1px; background: var(--muted); }

.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr)); }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.tables > div { min-width: 0; max-width: 100%; }
.tables p { font-size: .92rem; font-weight: 500; }
.matrix th, .matrix td { text-align: center; padding: .15rem .6rem; border-bottom: 0; }
.matrix th:first-child { text-align: left; padding-left: 0; min-width: 0; }
.matrix td span { display: block; min-width: 2.2rem; }
.shade { border-radius: .25rem; padding: .15rem .5rem; }

svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 12px; }
svg .axis { stroke: var(--line); stroke-width: 1; fill: none; }
svg .fill { fill: var(--accent); }
svg circle { stroke-width: 2; }
svg .hollow { fill: var(--surface); }
.labels text { /* readable over lines */
  fill: inherit; stroke: var(--surface); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke;
}
.axis-ends {
  display: flex; justify-content: space-between;
  color: var(--muted); font-size: .8rem; font-variant-numeric: tabular-nums;
}
.curves { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 30rem)); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; }
.legend span::before {
  content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem;
  border-radius: .2rem; background: var(--c);
}

.samples {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
}
article {
  display: grid; gap: .6rem; grid-template-columns: minmax(0, 1fr);
  padding: .75rem; border: 1px solid var(--line); border-radius: .6rem;
}
.figures { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 8rem), 1fr)); }
figure img {
  display: block; width: 100%; max-height: 20rem; object-fit: contain;
  border-radius: .35rem; background: var(--sunk);
}
figcaption { color: var(--muted); font-size: .8rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem .75rem; font-size: .92rem; }
dt { color: var(--muted); }
.said { white-space: pre-wrap; unicode-bidi: isolate; }
.none { color: var(--muted); font-style: italic; }
.word { display: inline-block; padding: 0 .25rem; margin: 0 .15rem .2rem 0; border-radius: .25rem; }
summary { cursor: pointer; color: var(--accent); }
details > :not(summary) { margin-top: .6rem; }
ul { margin: 0; padding-left: 1.2rem; font-size: .92rem; overflow-wrap: anywhere; }

@media (max-width: 40rem) {
  th, td { padding-right: .5rem; }
  .bar { width: 6rem; }
  .matrix th, .matrix td { padding: .15rem .25rem; }
  .cards, .cards tbody { display: block; }
  .cards thead { display: none; }
  .cards tr {
    display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .9rem;
    padding: .5rem 0; border-bottom: 1px solid var(--line);
  }
  .cards th, .cards td { display: block; padding: 0; border: 0; text-align: left; white-space: normal; }
  .cards th, .cards .drawn { flex: 1 0 100%; max-width: none; }
  .cards th, .cards .number { font-weight: 650; }
  .cards .folder { font-weight: 400; }
  .cards .missing { margin-left: 0; max-width: none; }
  .cards td[data-column]::before { content: attr(data-column) " "; color: var(--muted); }
  .cards .bar { width: 100%; }
}
@media print { section, article { break-inside: avoid; } }
)css";
}

}  // namespace binocle::eval
