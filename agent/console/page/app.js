"use strict";
// The page shows what comes by the events and asks for nothing else. Text goes in as text only, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const ns = "http://www.w3.org/2000/svg";
  const state = { scene: null, snap: null, floor: null, pinned: false, view: null, follow: false, heard: 0, fresh: 0 };

  // ---- small helpers ----
  const known = (n) => typeof n === "number" && Number.isFinite(n);
  const num = (n, digits) => (known(n) ? n.toFixed(digits) : "–");
  const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const el = (name, cls, text) => {
    const e = document.createElement(name);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const draw = (name, attrs, cls) => {
    const e = document.createElementNS(ns, name);
    for (const k in attrs) e.setAttribute(k, attrs[k]);
    if (cls) e.setAttribute("class", cls);
    return e;
  };
  const word = (s) => String(s || "").toLowerCase().replace(/[^a-z-]/g, "") || "unknown";
  const points = (ps) => (ps || []).filter((p) => Array.isArray(p) && known(p[0]) && known(p[1]));
  const ring = (ps) => { const p = points(ps); return p.length > 2 ? "M" + p.map((q) => q.join(" ")).join("L") + "Z" : ""; };
  const seconds = (s) => s < 1.5 ? "just now" : s < 90 ? `for ${Math.round(s)} s` : s < 5400 ? `for ${Math.round(s / 60)} min` : `for ${Math.round(s / 3600)} h`;
  const clock = (t) => { const m = /T(\d\d:\d\d:\d\d)/.exec(t || ""); return m ? m[1] : "–"; };
  const age = (ms) => !known(ms) ? "never heard" : ms < 1000 ? `${Math.round(ms)} ms` : ms < 120000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`;
  // keep replaces a list's items only when what they would show has changed.
  const keep = (list, items, make) => {
    const key = JSON.stringify(items);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...items.map(make));
  };

  // ---- words ----
  const headline = {
    free: "Moving freely", limited: "Speed limited", "dock-only": "Going back to the dock",
    hold: "Holding", stop: "Stopped", unknown: "State unknown",
  };
  const sentence = (s) => {
    if (s.summary) return s.summary;
    switch (s.axes.motion) {
      case "free": return "Nothing restricts where and how fast the robot walks.";
      case "limited": return `The robot may walk at up to ${num(s.axes.limit_mps, 2)} m/s here.`;
      case "dock-only": return "The robot may only walk back to its dock.";
      case "hold": return "The robot stands and goes on when the reason has passed.";
      case "stop": return s.standstill ? "The robot stands, and two measurements agree." : "The robot is coming to rest.";
    }
    return "The guard has not said what holds.";
  };
  const axisWords = {
    motion: ["Walking", { free: "free", limited: "limited", "dock-only": "to the dock only", hold: "holding", stop: "stopped" }],
    manipulators: ["Arms and hands", { free: "free", limited: "slow only", hold: "holding", disabled: "disabled" }],
    perception: ["Camera and microphone", { free: "free", private: "private" }],
    remote: ["Remote control", { free: "free", "view-only": "may only look", blocked: "blocked" }],
  };
  const hard = { stop: 1, disabled: 1, blocked: 1 };

  // ---- the map ----
  const floorOf = () => state.floor;
  const extent = () => {
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    const take = (ps) => points(ps).forEach(([x, y]) => { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); });
    if (state.scene) {
      for (const f of state.scene.floors || []) if (f.id === floorOf()) (f.walls || []).forEach(take);
      for (const z of state.scene.zones || []) if (z.floor === floorOf()) take(z.outer);
    }
    if (x0 > x1) { x0 = -5; y0 = -5; x1 = 5; y1 = 5; }
    const m = Math.max(0.6, (x1 - x0) * 0.02);
    return [x0 - m, y0 - m, x1 - x0 + 2 * m, y1 - y0 + 2 * m];
  };
  const ownFloor = () => state.snap && state.snap.pose && known(state.snap.pose.x) && known(state.snap.pose.y) && state.snap.floor === floorOf();

  const setView = () => {
    const v = state.view || extent();
    if (state.follow && ownFloor()) { v[0] = state.snap.pose.x - v[2] / 2; v[1] = state.snap.pose.y - v[3] / 2; }
    const map = $("map"), box = map.getBoundingClientRect();
    map.setAttribute("viewBox", `${v[0]} ${-(v[1] + v[3])} ${v[2]} ${v[3]}`);
    const perPx = box.width ? Math.max(v[2] / box.width, v[3] / box.height) : 0.05;
    $("labels").setAttribute("font-size", 11.5 * perPx);
    for (const t of $("labels").children) {
      // With what it says where there is room, the name alone where there is less, nothing where there is none.
      const fits = (s) => s.length * 6.4 * perPx <= Number(t.dataset.room);
      put(t, fits(t.dataset.full) ? t.dataset.full : t.dataset.name);
      t.setAttribute("visibility", fits(t.textContent) ? "visible" : "hidden");
    }
    let bar = 10;
    for (const b of [10, 5, 2, 1, 0.5]) { bar = b; if (b / perPx < 130) break; }
    const sx = v[0] + v[2] / 2 - perPx * box.width / 2 + 14 * perPx, sy = -(v[1] + v[3] / 2) + perPx * box.height / 2 - 12 * perPx;
    $("scale").firstElementChild.setAttribute("d", `M${sx} ${sy - 4 * perPx}V${sy}H${sx + bar}V${sy - 4 * perPx}`);
    const t = $("scale").lastElementChild;
    t.setAttribute("x", sx + bar / 2); t.setAttribute("y", sy - 6 * perPx); t.setAttribute("font-size", 10.5 * perPx);
    put(t, `${bar} m`);
    const halo = $("halo");
    halo.setAttribute("r", ownFloor() && 0.45 / perPx < 9 ? 13 * perPx : 0);
    if (ownFloor()) { halo.setAttribute("cx", state.snap.pose.x); halo.setAttribute("cy", -state.snap.pose.y); }
  };

  // words says what a zone does besides stopping or slowing down the robot.
  const words = {
    NO_MANIPULATION: "arms at rest", PRIVACY: "cameras and microphones closed", DWELL_LIMIT: "for a while only",
    RELEASE: "closed without a lease", DOOR: "closed without a lease", NO_STOP: "no standing",
    DIRECTED: "one direction of travel", BIDIRECTED: "to and fro only",
  };
  // brief is the same for the map.
  const brief = (z) => ({
    SPEED_LIMIT: known(z.max_speed_mps) ? `${z.max_speed_mps} m/s` : "", NO_MANIPULATION: "arms at rest", PRIVACY: "private", DWELL_LIMIT: "briefly",
    RELEASE: "by lease", DOOR: "by lease", NO_STOP: "no standing", DIRECTED: "one way", BIDIRECTED: "to and fro",
  })[z.type];
  // look is how a kind of zone is drawn.
  const look = (type) => ({ RELEASE: "LEASE", DOOR: "LEASE", BLOCKED: "BLOCKED", SPEED_LIMIT: "SPEED_LIMIT", KEEP_IN: "KEEP_IN" })[type] || "OTHER";

  const drawScene = () => {
    const floor = floorOf(), groups = { KEEP_IN: $("g-keep"), SPEED_LIMIT: $("g-speed"), OTHER: $("g-other"), LEASE: $("g-lease"), BLOCKED: $("g-blocked") };
    Object.values(groups).forEach((g) => g.replaceChildren());
    $("g-walls").replaceChildren(); $("labels").replaceChildren();
    state.shapes = [];
    const scene = state.scene || {};
    (scene.zones || []).forEach((z, i) => {
      const group = groups[look(z.type)], d = ring(z.outer) + (z.holes || []).map(ring).join("");
      if (z.floor !== floor || !group || !d) return;
      const shape = draw("path", { d, "fill-rule": "evenodd" }), fill = draw("path", { d, "fill-rule": "evenodd" });
      const tip = draw("title", {}); tip.textContent = `${z.id}: ${z.reason}`;
      shape.append(tip); group.append(shape, fill);
      let label = null;
      if (z.type !== "KEEP_IN") {
        const ps = points(z.outer), xs = ps.map((p) => p[0]), ys = ps.map((p) => p[1]);
        const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
        label = draw("text", { x: (x0 + x1) / 2, y: -(y0 + y1) / 2 });
        label.dataset.name = z.id; label.dataset.full = z.id + (brief(z) ? ` · ${brief(z)}` : "");
        label.dataset.room = x1 - x0;
        $("labels").append(label);
      }
      state.shapes.push({ i, z, shape, fill, label });
    });
    for (const f of scene.floors || []) {
      if (f.id !== floor) continue;
      for (const w of f.walls || []) $("g-walls").append(draw("polyline", { points: points(w).map((p) => p.join(",")).join(" ") }, "wall"));
      for (const m of f.marks || []) {
        if (!points([m.at]).length) continue;
        const t = draw("text", { x: m.at[0], y: -m.at[1] }, "mark"); t.dataset.name = t.dataset.full = m.name; t.dataset.room = 99;
        $("labels").append(t);
      }
    }
    drawFloors(); markZones(); setView();
  };

  const markZones = () => {
    const states = (state.snap && state.snap.zones) || [], same = state.snap && state.scene && state.snap.scene_id === state.scene.id;
    for (const s of state.shapes || []) {
      const now = same ? states[s.i] : null;
      const cls = `${look(s.z.type)}${now && !now.applies ? " off" : ""}${now && now.state ? " " + word(now.state) : ""}`;
      s.shape.setAttribute("class", "zone " + cls); s.fill.setAttribute("class", "zone fill " + cls);
      if (s.label) s.label.setAttribute("class", cls);
    }
  };

  const drawRobot = () => {
    const s = state.snap, here = ownFloor();
    const body = here ? points(s.contour) : [], rest = here ? points(s.predicted) : [];
    $("body").setAttribute("d", ring(body)); $("predicted").setAttribute("d", ring(rest));
    $("reach").setAttribute("d", body.length > 2 && rest.length > 2 ? ring(hull(body.concat(rest))) : "");
    $("path").setAttribute("points", here ? points(s.path).map((p) => p.join(",")).join(" ") : "");
    const nose = $("nose"), sigma = $("sigma");
    nose.setAttribute("d", "");
    sigma.setAttribute("r", 0);
    if (!here) return;
    const p = s.pose;
    if (known(p.yaw)) nose.setAttribute("transform", `translate(${p.x} ${p.y}) rotate(${(p.yaw * 180) / Math.PI})`), nose.setAttribute("d", "M-0.02 0.12L0.14 0L-0.02 -0.12");
    sigma.setAttribute("cx", p.x); sigma.setAttribute("cy", p.y);
    if (known(p.stddev_m)) sigma.setAttribute("r", 0.4 + 2.45 * Math.max(0, p.stddev_m));
  };

  const hull = (ps) => {
    const p = ps.slice().sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const turn = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    const half = (q) => { const h = []; for (const c of q) { while (h.length > 1 && turn(h[h.length - 2], h[h.length - 1], c) <= 0) h.pop(); h.push(c); } h.pop(); return h; };
    return half(p).concat(half(p.reverse()));
  };

  const drawFloors = () => {
    const floors = (state.scene && state.scene.floors) || [];
    keep($("floors"), floors.map((f) => [f.id, f.name || f.id, f.id === floorOf(), !!state.snap && f.id === state.snap.floor]), ([id, name, on, here]) => {
      const b = el("button", here ? "here" : "", name);
      b.type = "button"; b.setAttribute("aria-pressed", String(on));
      if (here) b.title = "the robot is here";
      b.addEventListener("click", () => { state.pinned = !here; showFloor(id); });
      return b;
    });
  };
  const showFloor = (id) => { state.floor = id; if (!state.follow) state.view = null; drawScene(); if (state.snap) show(state.snap); };

  // ---- everything beside the map ----
  const showHero = (s) => {
    const motion = headline[s.axes.motion] ? s.axes.motion : "unknown";
    const title = motion === "stop" && !s.standstill ? "Stopping" : motion === "hold" && !s.standstill && s.speed_mps > 0.05 ? "Coming to hold" :
      motion === "free" && s.standstill ? "Free, standing" : headline[motion];
    const cat = known(s.stop_category) ? ` · category ${s.stop_category}` : "";
    document.querySelector(".hero").dataset.motion = motion;
    $("sign").setAttribute("href", `#i-${motion}`);
    put($("headline"), title + cat); put($("sentence"), sentence(s));
    put($("speed"), num(s.speed_mps, 2)); put($("stopway"), num(s.stop_distance_m, 2));
    const still = motion === "hold" || motion === "stop";
    put($("limit"), still ? "0" : known(s.axes.limit_mps) ? num(s.axes.limit_mps, 2) : motion === "unknown" ? "–" : "any");
    put($("limit-unit"), still || known(s.axes.limit_mps) ? "m/s" : "speed");
    put($("announce"), `${title}${cat}. ${(s.triggers || []).map((t) => t.title).join(", ")}`);
    document.title = `${title} · ${s.robot || "robowarden"}`;
  };

  // zoneReasons are the zones that hold the robot back where it is, beside the triggers.
  const zoneReasons = (s) => {
    if (!state.scene || s.scene_id !== state.scene.id) return [];
    const out = [];
    (state.scene.zones || []).forEach((z, i) => {
      const n = (s.zones || [])[i];
      if (z.floor !== s.floor || !n || !n.applies || (n.state !== "inside" && n.state !== "near")) return;
      const away = n.state === "inside" ? "" : known(n.margin_m) ? `${num(Math.max(0, n.margin_m), 1)} m away` : "near";
      if (z.type === "SPEED_LIMIT") out.push([`${z.id}: at most ${num(z.max_speed_mps, 2)} m/s`, z.reason, away, "zone-rule"]);
      else if (words[z.type]) out.push([`${z.id}: ${words[z.type]}`, z.reason, away, look(z.type) === "LEASE" ? "zone-stop" : "zone-rule"]);
      else if (z.type === "BLOCKED") out.push([n.state === "inside" ? `Inside ${z.id}` : `Close to ${z.id}`, z.reason, away, "zone-stop"]);
      else if (n.state === "near") out.push([`Close to the edge of ${z.id}`, z.reason, away, "zone-stop"]);
    });
    return out.slice(0, 6);
  };

  const showWhy = (s) => {
    const now = Date.parse(s.time);
    const items = (s.triggers || []).map((t) => {
      const age = (now - Date.parse(t.since)) / 1000;
      return [t.title || t.code, t.text, known(age) ? seconds(Math.max(0, age)) : "", t.latched ? "latched" : "", t.clear, t.code];
    }).concat(zoneReasons(s));
    keep($("triggers"), items.length ? items : [null], (it) => {
      if (!it) return el("li", "none", "Nothing restricts the robot.");
      const [title, text, since, cls, clear, code] = it, li = el("li", cls), b = el("b", "", title);
      if (code) b.title = code;
      li.append(b, el("time", "", since), el("p", "", text));
      if (clear) {
        const p = el("p", "then");
        if (cls === "latched") { const i = draw("svg", { "aria-hidden": "true" }); i.append(draw("use", { href: "#i-lock" })); p.append(i); }
        p.append(document.createTextNode(clear)); li.append(p);
      }
      return li;
    });
  };

  const showAxes = (s) => {
    keep($("axes"), Object.keys(axisWords).map((a) => [a, s.axes[a] || "", a === "motion" ? s.axes.limit_mps : null]), ([a, v, limit]) => {
      const [name, words] = axisWords[a];
      const li = el("li", v === "free" ? "open" : hard[v] ? "hard" : words[v] ? "mid" : "");
      li.append(el("span", "", name), el("b", "", (words[v] || v || "unknown") + (v === "limited" && known(limit) ? `, ${num(limit, 2)} m/s` : "")));
      return li;
    });
  };

  const showHealth = (s) => {
    keep($("channels"), (s.channels || []).map((c) => [c.name, word(c.health), c.text || age(c.age_ms)]), row);
    const a = s.attestation || {}, how = { attested: "ok", expired: "late", failed: "lost", recovery: "lost" }[a.state] || "unknown";
    const left = a.state === "attested" && known(a.left_s) && a.left_s > 0 ? `, for ${a.left_s < 90 ? Math.round(a.left_s) + " s" : Math.round(a.left_s / 60) + " min"} more` : "";
    const by = { tpm: "by its TPM", "software-key": "by a key on its disk" }[a.tier];
    keep($("software"), [["attestation", how, (a.state || "unknown") + (by && a.state === "attested" ? ` ${by}` : "") + left]], row);
    keep($("inputs"), (s.inputs || []).map((c) => [c.name, word(c.health), c.text || rough(c)]), row);
  };
  // rough is calm: an age matters only against its limit.
  const rough = (c) => word(c.health) === "ok" ? (known(c.max_age_ms) ? `within ${age(c.max_age_ms)}` : "fresh") : age(c.age_ms);
  const row = ([name, health, text]) => {
    const li = el("li", health);
    li.append(el("b", "", name), el("span", "", text));
    li.setAttribute("aria-label", `${name}: ${health}, ${text}`);
    return li;
  };

  const showEvents = (s) => {
    const items = (s.events || []).slice().reverse().map((e) => [clock(e.time), word(e.level), e.text]);
    keep($("events"), items.length ? items : [["", "info", "Nothing yet."]], ([t, level, text]) => {
      const li = el("li", level);
      li.append(el("time", "", t), el("span", "", text));
      return li;
    });
  };

  const showZones = (s) => {
    const same = state.scene && s.scene_id === state.scene.id, states = s.zones || [];
    const items = ((state.scene && state.scene.zones) || []).map((z, i) => [z, same ? states[i] : null]).filter(([z]) => z.floor === floorOf())
      .map(([z, n]) => [z.id, z.type, z.reason, z.max_speed_mps, n ? n.applies : true, n && n.applies && n.state ? n.state : ""]);
    keep($("zones"), items, ([id, type, reason, limit, applies, where]) => {
      const kind = { BLOCKED: "forbidden", SPEED_LIMIT: `at most ${num(limit, 2)} m/s`, KEEP_IN: "stay inside" }[type] || words[type] || type;
      const li = el("li", look(type) + (applies ? "" : " off"));
      li.append(el("b", "", id), el("span", "", applies ? kind + (where && where !== "clear" ? ` · ${where}` : "") : "not in force now"), el("p", "", reason));
      return li;
    });
  };

  const show = (s) => {
    state.snap = s;
    s.axes = s.axes || {};
    if (!state.pinned && s.floor && s.floor !== state.floor) { state.floor = s.floor; if (!state.follow) state.view = null; drawScene(); }
    put($("robot"), s.robot || "robowarden"); put($("clock"), clock(s.time) + (s.clock_trust && s.clock_trust !== "trusted" ? ` (${s.clock_trust})` : ""));
    const badge = $("badge");
    badge.hidden = false; badge.className = s.advisory ? "badge advisory" : "badge";
    put(badge, s.advisory ? "advisory" : "enforcing");
    badge.title = s.advisory_text || (s.advisory ? "no way to stop the robot works without the bus's goodwill" : "a way to stop the robot works even if the bus is hostile");
    const p = s.policy || {};
    put($("policy"), `Policy ${p.id || "–"}, revision ${known(p.revision) ? p.revision : "–"}${p.digest ? ", " + String(p.digest).slice(0, 19) + "…" : ""}${s.cut ? " · some entries were too long and were cut" : ""}`);
    const home = ((state.scene && state.scene.floors) || []).find((f) => f.id === s.floor);
    put($("elsewhere"), s.floor === floorOf() ? "" : `the robot is on ${home ? home.name : s.floor || "an unknown floor"}`);
    showHero(s); showWhy(s); showAxes(s); showHealth(s); showEvents(s); showZones(s);
    drawFloors(); markZones(); drawRobot(); setView();
    $("map").setAttribute("aria-label", `Map of ${home ? home.name : "the floor"}. ` + (s.pose && known(s.pose.x) ? `The robot is at ${num(s.pose.x, 0)}, ${num(s.pose.y, 0)} metres.` : "The robot's place is unknown."));
  };

  // ---- view controls ----
  const zoom = (k) => { const v = state.view || extent(); state.view = [v[0] + (v[2] * (1 - k)) / 2, v[1] + (v[3] * (1 - k)) / 2, v[2] * k, v[3] * k]; if (state.view[2] > 1e4 || state.view[2] < 1) state.view = v; setView(); };
  const pan = (dx, dy) => { setFollow(false); const v = state.view || extent(); state.view = [v[0] + dx * v[2], v[1] + dy * v[3], v[2], v[3]]; setView(); };
  const setFollow = (on) => {
    if (on && !state.view) state.view = [0, 0, 14, 12];
    state.follow = on; $("follow").setAttribute("aria-pressed", String(on));
    if (on && state.snap && state.snap.floor) { state.pinned = false; if (state.floor !== state.snap.floor) showFloor(state.snap.floor); }
    setView();
  };
  const fit = () => { state.view = null; setFollow(false); };
  $("plus").addEventListener("click", () => zoom(1 / 1.4)); $("minus").addEventListener("click", () => zoom(1.4));
  $("fit").addEventListener("click", fit);
  $("follow").addEventListener("click", () => { if (state.follow) fit(); else { state.view = null; setFollow(true); } });
  $("map").addEventListener("wheel", (e) => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.15 : 1 / 1.15); }, { passive: false });
  $("map").addEventListener("keydown", (e) => {
    const act = { "+": () => zoom(1 / 1.3), "=": () => zoom(1 / 1.3), "-": () => zoom(1.3), 0: fit, f: () => $("follow").click(), ArrowLeft: () => pan(-0.1, 0), ArrowRight: () => pan(0.1, 0), ArrowUp: () => pan(0, 0.1), ArrowDown: () => pan(0, -0.1) }[e.key];
    if (act && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); act(); }
  });
  const fingers = new Map();
  $("map").addEventListener("pointerdown", (e) => { fingers.set(e.pointerId, [e.clientX, e.clientY]); $("map").setPointerCapture(e.pointerId); $("map").classList.add("drag"); });
  $("map").addEventListener("pointermove", (e) => {
    const was = fingers.get(e.pointerId);
    if (!was) return;
    const box = $("map").getBoundingClientRect(), others = [...fingers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    if (others.length) {
      const o = others[0], d = (p) => Math.hypot(p[0] - o[0], p[1] - o[1]) || 1;
      zoom(d(was) / d([e.clientX, e.clientY]));
    } else {
      const v = state.view || extent(), perPx = Math.max(v[2] / box.width, v[3] / box.height);
      pan((-(e.clientX - was[0]) * perPx) / v[2], ((e.clientY - was[1]) * perPx) / v[3]);
    }
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
  });
  const lift = (e) => { fingers.delete(e.pointerId); if (!fingers.size) $("map").classList.remove("drag"); };
  $("map").addEventListener("pointerup", lift); $("map").addEventListener("pointercancel", lift);
  addEventListener("resize", setView);

  // ---- the events ----
  const link = (how, text, alarm) => { document.documentElement.dataset.link = how; put($("link"), text); $("stale").hidden = !alarm; put($("stale"), alarm || ""); };
  const watch = () => {
    const now = performance.now(), old = (now - state.fresh) / 1000;
    if (!state.heard) link("waiting", "waiting");
    else if (now - state.heard > 5000) link("lost", "connection lost", "The connection to the robot is lost. What you see is old.");
    else if (!state.snap) link("waiting", "waiting for the guard");
    else if (old > 2) link("stale", "no news", `No news from the guard for ${Math.round(old)} s. What you see is old.`);
    else link("live", "live");
  };
  let wait = 1000;
  const connect = () => {
    const source = new EventSource("events");
    const on = (name, f) => source.addEventListener(name, (e) => { state.heard = performance.now(); wait = 1000; f(e); watch(); });
    on("hello", () => {}); on("beat", () => {});
    on("scene", (e) => {
      state.scene = JSON.parse(e.data);
      put($("site"), state.scene.site || "");
      if (!state.floor && state.scene.floors && state.scene.floors.length) state.floor = state.scene.floors[0].id;
      drawScene();
    });
    on("state", (e) => { state.fresh = performance.now(); show(JSON.parse(e.data)); });
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      // A refusal closes the source for good; a new one is tried, ever more slowly.
      source.close();
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 15000);
    });
  };
  // What a test or a page around this one hands over is shown like what comes by the events.
  addEventListener("robowarden-state", (e) => { state.fresh = state.heard = performance.now(); show(e.detail); });
  setInterval(watch, 500);
  if (matchMedia("(max-width: 640px)").matches) { state.view = null; setFollow(true); }
  connect();
})();
