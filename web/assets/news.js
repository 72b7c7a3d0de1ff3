// The headlines beside the table: text, never markup.

import { dateAndClock, isWebAddress, needsYear, visible } from "./format.js";

const SHOWN = 40;

export function show(articles) {
  const shown = articles.slice(0, SHOWN);
  const withYear = needsYear(shown.map((article) => article.published_timestamp));
  const items = shown.map((article) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = new Date(article.published_timestamp).toISOString();
    time.textContent = dateAndClock(article.published_timestamp, withYear);
    item.append(time, headline(article));
    if (article.section_name) {
      const section = document.createElement("span");
      section.className = "section";
      section.textContent = visible(article.section_name);
      item.append(section);
    }
    return item;
  });
  document.getElementById("news").replaceChildren(...items);
  document.getElementById("no-news").hidden = items.length > 0;
}

function headline({ headline, url }) {
  const link = document.createElement(isWebAddress(url) ? "a" : "span");
  link.textContent = visible(headline);
  if (link instanceof HTMLAnchorElement) {
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  return link;
}
