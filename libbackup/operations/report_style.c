/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/report_style.h"

const char bkp_report_page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n"
    "<meta name=\"referrer\" content=\"no-referrer\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

#define COLOURS                                                                \
	":root{--ink:#1f2328;--dim:#59636e;--page:#fff;--card:#f5f7f9;"        \
	"--line:#d5dbe1;--good:#1a7f37;--bad:#c5221f;--warn:#8a5a00;"          \
	"--bar:#3d6db5;--rest:#a9c3ea}\n"                                      \
	"@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;"              \
	"--dim:#9aa4af;--page:#0f1419;--card:#1a2027;--line:#3a434d;"          \
	"--good:#4cc265;--bad:#ff8078;--warn:#e0a93b;--bar:#7fb0f5;"           \
	"--rest:#35507a}}\n"

#define LETTERS                                                                \
	"*{box-sizing:border-box}\n"                                           \
	"body{margin:0;font:16px/1.5 system-ui,-apple-system,\"Segoe UI\","    \
	"Roboto,sans-serif;color:var(--ink);background:var(--page);"           \
	"overflow-wrap:anywhere}\n"                                            \
	"main{max-width:50rem;margin:0 auto;padding:1rem}\n"                   \
	"h1{font-size:1.5rem;line-height:1.25;margin:0 0 .4rem}\n"             \
	"h2{font-size:1.2rem;margin:2.2rem 0 .6rem}\n"                         \
	"h3{font-size:1rem;margin:1.6rem 0 .4rem}\n"                           \
	"p{margin:.4rem 0}time{white-space:nowrap}\n"                          \
	"code{font:.9em ui-monospace,Menlo,Consolas,monospace}\n"              \
	".dim,small,dt,footer{color:var(--dim)}\n"                             \
	".good{color:var(--good)}.bad{color:var(--bad)}"                       \
	".warn{color:var(--warn)}\n"                                           \
	"span.good,span.bad,span.warn{font-weight:600}\n"

#define VERDICT                                                                \
	"header{display:flex;gap:1rem;padding:1rem;background:var(--card);"    \
	"border-left:.4rem solid;border-radius:.4rem}\n"                       \
	"header h1{color:inherit}header p{color:var(--ink)}\n"                 \
	"header svg{flex:none;fill:none;stroke:currentColor;stroke-width:4;"   \
	"stroke-linecap:round;stroke-linejoin:round}\n"                        \
	"header circle{stroke-width:2}\n"

#define FACTS                                                                  \
	".facts{display:grid;gap:.6rem;margin:0;"                              \
	"grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))}\n"           \
	".facts div{padding:.6rem .8rem;background:var(--card);"               \
	"border-radius:.4rem}\n"                                               \
	"dt{font-size:.9rem}dd{margin:0}\n"                                    \
	".facts dd{font-size:1.25rem;font-weight:600;line-height:1.3}\n"       \
	".facts small{display:block;font-size:.8rem;font-weight:400}\n"

#define LISTS                                                                  \
	"ul{padding:0;margin:0;list-style:none}ol{padding-left:1.4rem}\n"      \
	"li{margin:.4rem 0}\n"                                                 \
	".failures li,.skips li,.checks li{padding:.5rem .8rem;"               \
	"border-left:.25rem solid var(--line)}\n"                              \
	".failures li{border-color:var(--bad);background:var(--card)}\n"       \
	".skips li{border-color:var(--warn)}\n"                                \
	"li strong{font-weight:600}ol code{white-space:nowrap}\n"              \
	"summary{cursor:pointer;padding:.5rem 0}\n"                            \
	"footer{margin-top:2.5rem;padding-top:.6rem;font-size:.9rem;"          \
	"border-top:1px solid var(--line)}\n"                                  \
	"footer div{display:flex;gap:.8rem}footer dt{flex:0 0 9rem}\n"

#define TABLES                                                                 \
	"table{width:100%;border-collapse:collapse;font-size:.95rem}\n"        \
	"th,td{padding:.4rem .5rem;text-align:left;vertical-align:top;"        \
	"border-bottom:1px solid var(--line)}\n"                               \
	"th{color:var(--dim);font-weight:600;overflow-wrap:normal}\n"          \
	".number{text-align:right;white-space:nowrap;"                         \
	"font-variant-numeric:tabular-nums}\n"                                 \
	"tr.this td{background:var(--card)}\n"                                 \
	"@media (max-width:40rem){thead{position:absolute;"                    \
	"clip-path:inset(50%);width:1px;height:1px;overflow:hidden}\n"         \
	"table,tbody,tr{display:block}\n"                                      \
	"tr{padding:.4rem 0;border-bottom:1px solid var(--line)}\n"            \
	"td,td.number{display:flex;gap:.8rem;padding:.1rem .4rem;"             \
	"text-align:left;white-space:normal;border:0}\n"                       \
	"td::before{content:attr(data-label);flex:0 0 7rem;"                   \
	"color:var(--dim)}}\n"

#define CHARTS                                                                 \
	"svg.chart{display:block;overflow:visible;margin-left:4.2rem;"         \
	"width:calc(100% - 4.2rem)}svg svg{overflow:visible}\n"                \
	".chart text{font-size:12px;fill:var(--dim)}\n"                        \
	".grid{stroke:var(--line)}.base{stroke:var(--dim)}\n"                  \
	".bar{fill:var(--bar)}.rest{fill:var(--rest)}\n"                       \
	".hatch{stroke:var(--page);stroke-width:5;fill:none}\n"                \
	".yes,.no,.never,.this{fill:none;stroke-width:2;"                      \
	"stroke-linecap:round}\n"                                              \
	".yes{stroke:var(--good)}.no{stroke:var(--bad)}"                       \
	".never,.this{stroke:var(--dim)}path.this{stroke:var(--ink)}\n"        \
	".legend{font-size:.9rem}.legend span{display:inline-block;"           \
	"margin-right:1rem}\n"

const char bkp_report_page_style[] =
    COLOURS LETTERS VERDICT FACTS LISTS TABLES CHARTS;
