// Keeps parts of a page as it is now: those marked `data-refresh` are taken
// over from the same page, asked for again while somebody looks.

const LOOK_AGAIN = 5_000;

async function refresh() {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-refresh]")) {
      const fresh = page.getElementById(part.id);
      // What has the focus stays in the hand.
      if (fresh && !part.contains(document.activeElement)) part.replaceChildren(...fresh.childNodes);
    }
    dispatchEvent(new Event("timeschange"));
  } catch {
    // Tickwire does not answer; it is asked again.
  }
}

// The answer to a form is no page that can be asked for again.
if (document.querySelector("[data-refresh]") && location.pathname === "/status") setInterval(refresh, LOOK_AGAIN);
