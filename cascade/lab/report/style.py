"""The report's style sheet: light and dark, on screen and on paper, nothing fetched."""

CSS = """
:root { color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f7f9; --ink: #1b1f24; --soft: #5b6571; --rule: #dfe3e8;
  --router: #0b62d6; --always: #59636e; --random: #9a6700; --oracle: #1a7f37; --good: #1a7f37; --warn: #9a5b00;
  --good-bg: #e9f6ec; --warn-bg: #fff4dc; --note-bg: #eef2f7;
  --s0: #d5e6fb; --s1: #a9cdf7; --s2: #77b0f0; --s3: #4690e4; --s4: #1e6fce; --s5: #0a4da0; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #0f1317; --panel: #171c22; --ink: #e6e9ed; --soft: #9aa5b1; --rule: #2b323a;
  --router: #6cb0ff; --always: #a8b3bf; --random: #d9a53a; --oracle: #56d07a; --good: #56d07a; --warn: #e3b04b;
  --good-bg: #12281a; --warn-bg: #2d2411; --note-bg: #1a222c;
  --s0: #17324f; --s1: #1d4674; --s2: #255f9f; --s3: #3a80cc; --s4: #6cabee; --s5: #b5d6fb; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1000px; padding: 28px 22px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 21px; margin: 44px 0 6px; padding-top: 14px;
  border-top: 2px solid var(--rule); } h3 { font-size: 16px; margin: 28px 0 6px; }
p { margin: 6px 0 10px; max-width: 78ch; } .soft, caption, small { color: var(--soft); }
ul.findings { list-style: none; padding: 0; margin: 12px 0; display: grid; gap: 6px; }
ul.findings li { padding: 8px 12px; border-left: 4px solid var(--soft); background: var(--note-bg);
  border-radius: 0 4px 4px 0; }
ul.findings li.good { border-color: var(--good); background: var(--good-bg); }
ul.findings li.warn { border-color: var(--warn); background: var(--warn-bg); }
.chart { display: block; max-width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
.charts { display: flex; flex-wrap: wrap; gap: 16px; } .charts figure { margin: 0; max-width: 410px; }
figcaption { font-size: 13px; color: var(--soft); margin-top: 4px; }
ul.key { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 8px 0; font-size: 13px;
  color: var(--soft); } ul.key li { display: flex; align-items: center; gap: 6px; }
.scroll { overflow-x: auto; margin: 10px 0; }
table { border-collapse: collapse; font-size: 13.5px; min-width: 60%; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; padding-top: 6px; font-size: 13px; }
th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: bottom; }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--rule); }
td.number, th.number { text-align: right; } td.number { white-space: nowrap; }
td small { display: block; font-size: 11.5px; }
td.name { white-space: nowrap; } td.good { color: var(--good); } td.bad { color: var(--warn); }
td.wrap { overflow-wrap: anywhere; }
td.router { color: var(--router); font-weight: 600; } td.oracle { color: var(--oracle); }
td.random { color: var(--random); }
pre { white-space: pre-wrap; background: var(--panel); padding: 12px; border-radius: 6px;
  font-size: 13px; max-width: 100%; }
dl.terms { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; font-size: 13.5px; }
dl.terms dt { font-weight: 600; } dl.terms dd { margin: 0; color: var(--soft); }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
svg .name { paint-order: stroke; stroke: var(--panel); stroke-width: 3.5px; }
svg .tick { fill: var(--soft); font-size: 11px; } svg .axis { fill: var(--soft); }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .whisker { stroke: var(--soft); stroke-width: 1; opacity: .55; }
svg .leader { stroke: var(--soft); stroke-width: .7; opacity: .7; }
svg .diagonal, svg .mixing { stroke: var(--random); stroke-width: 1.6; stroke-dasharray: 5 4; }
svg .curve { stroke: var(--oracle); stroke-width: 1.6; stroke-dasharray: 2 3; }
svg .front { stroke: var(--router); stroke-width: 1.4; opacity: .55; }
svg .mark { stroke: var(--paper); stroke-width: 1.5; fill: var(--router); }
svg .mark.always { fill: var(--always); } svg .mark.oracle { fill: var(--oracle); }
svg .mark.random { fill: var(--random); }
svg .name.router { fill: var(--router); font-weight: 600; } svg .name.oracle { fill: var(--oracle); }
svg .name.random { fill: var(--random); } svg .name.always { fill: var(--ink); }
svg .shade0 { fill: var(--s0); } svg .shade1 { fill: var(--s1); } svg .shade2 { fill: var(--s2); }
svg .shade3 { fill: var(--s3); } svg .shade4 { fill: var(--s4); } svg .shade5 { fill: var(--s5); }
@media print { body { max-width: none; } h2 { break-before: page; } }
"""
