/** Owns the bars of an account's limits: what Claude Code last told of them, and how long ago. */

import { copyOf, named, setText } from "../shared/elements.js";
import { ago, dateTime, duration, t } from "../shared/messages.js";

/** @typedef {import("../shared/api.js").Account} Account */

/** Show the limits that still say something; a period that has started anew says nothing. @param {HTMLElement} place @param {Account} account */
export function showUsage(place, account) {
  const now = Date.now();
  const told = account.usage.filter((limit) => !limit.resets_at || limit.resets_at > now);
  place.hidden = !told.length;
  while (place.children.length > told.length) place.lastElementChild?.remove();
  while (place.children.length < told.length) place.append(copyOf("limit"));
  told.forEach((limit, number) => {
    const item = /** @type {HTMLElement} */ (place.children[number]);
    const percent = Math.round(limit.percent);
    const meter = named(item, "meter", HTMLMeterElement);
    meter.value = percent;
    const period = t(`limit_${limit.period}`);
    const resets = limit.resets_at ? t("limit_resets", { time: duration(limit.resets_at - now) }) : "";
    const seen = t("limit_seen", { time: ago(now - limit.seen_at) });
    meter.setAttribute("aria-label", t("limit_label", { period, percent }));
    setText(named(item, "limit-words"), `${period} ${percent} %`);
    setText(named(item, "limit-note"), [resets, seen].filter(Boolean).join(" · "));
    item.title = limit.resets_at ? dateTime(limit.resets_at) : "";
  });
}
