// What this browser remembers of its reader's choices; where it may not, nothing is lost but the choice.

export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Kept until the page is left.
  }
}
