// The chosen theme, set before anything is drawn; without a choice the system's
// holds. And the word that scripts run, for what is of no use without.
document.documentElement.dataset.scripted = "";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that remembers nothing follows the system.
}
