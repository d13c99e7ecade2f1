// Opens the event that a number on the map or the timeline points to. Without scripts the link leads to its line, and a
// click opens it.
function show() {
  const e = document.getElementById(location.hash.slice(1));
  if (e && e.tagName === "DETAILS") { e.open = true; e.scrollIntoView({ block: "center" }); }
}
addEventListener("hashchange", show);
show();
