// Asks the site's search, and returns the addresses that it lists, best first.
(text) => {
  const one = (selector) => document.querySelector(selector);
  const input = one("[data-md-component=search-query]"), list = one(".md-search-result__list"), meta = one(".md-search-result__meta");
  const when = (node, done) => new Promise((ok) => {
    const look = () => done() && ok();
    new MutationObserver(look).observe(node, { childList: true, characterData: true, subtree: true });
    look();
  });
  const type = (words) => {
    list.innerHTML = meta.textContent = "";
    input.value = words;
    input.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
    return when(meta, () => meta.textContent).then(() => new Promise((ok) => setTimeout(ok, 0)));
  };
  const ask = () => {
    one("#__search").checked = true;
    input.focus();
    return input.value ? type("").then(() => type(text)) : type(text); // the same words twice are one search
  };
  return when(meta, () => !meta.textContent.includes("Initializing"))
    .then(ask)
    .then(() => [...list.querySelectorAll("a.md-search-result__link")].map((a) => a.getAttribute("href")));
}
