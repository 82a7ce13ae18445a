/** Owns the name of a browser as a person would say it. */

/** @param {string} agent what the browser calls itself */
export function browserName(agent) {
  const name = agent.match(/(Edg|OPR|Firefox|Chrome|Safari)\w*\/(\d+)/);
  const system = agent.match(/Windows|Mac OS|Android|iPhone|iPad|Linux/);
  const known = { Edg: "Edge", OPR: "Opera" }[name?.[1] ?? ""] ?? name?.[1];
  return [known && `${known} ${name?.[2]}`, system?.[0]].filter(Boolean).join(" · ") || agent.slice(0, 60) || "?";
}
