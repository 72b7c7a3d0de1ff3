// The watchlist without loading the page anew: a term is checked when its field
// is left, headlines are previewed in place, and a change made elsewhere is told.
// Everything works without this script.

const LOOK_AGAIN = 10_000;

const at = (id) => document.getElementById(id);
const form = at("entry-form");
const PROBLEMS = ["symbol", "term", "sections"];
let asking = null;

// The page as it answers the form, of which some parts are taken over.
async function answer(deed) {
  asking?.abort();
  const mine = (asking = new AbortController());
  const typed = new URLSearchParams(new FormData(form));
  typed.set("do", deed);
  const answered = await fetch(form.action, { method: "POST", body: typed, signal: mine.signal });
  return new DOMParser().parseFromString(await answered.text(), "text/html");
}

function takeProblems(page) {
  for (const name of PROBLEMS) {
    const problem = page.getElementById(`${name}-problem`);
    if (problem === null) return;
    at(`${name}-problem`).replaceChildren(...problem.childNodes);
    if (at(`${name}-problem`).textContent === "") at(name).removeAttribute("aria-invalid");
    else at(name).setAttribute("aria-invalid", "true");
  }
}

async function preview(event) {
  event.preventDefault();
  const button = at("preview-button");
  button.disabled = true;
  at("preview").replaceChildren(hint("Asking …"));
  try {
    const page = await answer("preview");
    takeProblems(page);
    at("preview").replaceChildren(...(page.getElementById("preview")?.childNodes ?? []));
    dispatchEvent(new Event("timeschange"));
  } catch {
    at("preview").replaceChildren(hint("No answer. Try again."));
  } finally {
    button.disabled = false;
  }
}

function hint(text) {
  const element = document.createElement("p");
  element.className = "hint";
  element.textContent = text;
  return element;
}

async function check() {
  if (PROBLEMS.every((name) => at(name).value.trim() === "")) return;
  try {
    takeProblems(await answer("check"));
  } catch {
    // It is checked again when it is saved.
  }
}

async function look() {
  if (document.visibilityState !== "visible") return;
  try {
    const answered = await fetch("/api/v1/watchlist", { method: "HEAD" });
    const version = answered.headers.get("etag")?.replaceAll('"', "");
    if (version) at("changed").hidden = version === at("watchlist").dataset.version;
  } catch {
    // Tickwire does not answer; the band above says so.
  }
}

// Who only reads has no form.
if (form !== null) {
  at("preview-button").addEventListener("click", preview);
  for (const name of PROBLEMS) at(name).addEventListener("change", check);
}
setInterval(look, LOOK_AGAIN);
