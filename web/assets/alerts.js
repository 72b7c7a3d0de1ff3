// Keeps the episodes of the alerts page up to date: when the service says that
// one has opened or closed, they are taken from the page as it is now.

import { turns } from "./episodes.js";
import { dateAndClock } from "./format.js";
import { Stream } from "./stream.js";

const shown = () => document.getElementById("episodes");

let known;
let fetching = false;

async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("episodes");
    if (!fresh || fresh.innerHTML === shown().innerHTML) return;
    for (const time of fresh.querySelectorAll("time[data-at]")) {
      time.textContent = dateAndClock(Number(time.dataset.at));
    }
    shown().replaceChildren(...fresh.childNodes);
  } finally {
    fetching = false;
  }
}

// The answer to a form is no page that can be asked for again.
if (location.pathname === "/alerts") {
  const stream = new Stream({
    update: ({ status }) => {
      if (!status) return;
      const now = turns(status);
      // What has just been told is stored a moment later.
      if (known !== undefined && now !== known) setTimeout(refresh, 1_000);
      known = now;
    },
    reset: () => stream.open("", ""),
    state: () => {},
  });
  stream.open("", "");
}
