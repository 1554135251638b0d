// The rules of a page, as an expression: a list of what breaks them.
(() => {
  const faults = [];
  const name = (el) => `${el.tagName.toLowerCase()}${el.className && typeof el.className === "string" ? "." + el.className.split(/\s+/)[0] : ""} "${(el.textContent || "").trim().slice(0, 40)}"`;

  // No sideways scrolling of the page, and nothing cut off outside a box that scrolls.
  const width = document.documentElement.clientWidth, wide = document.documentElement.scrollWidth - width;
  if (wide > 0) faults.push(`the page is ${wide} pixels wider than the window`);
  const scrolls = (el) => { for (let e = el; e && e !== document.body; e = e.parentElement) if (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)) return true; return false; };
  for (const el of document.querySelectorAll(".md-content *, .md-search__output *")) {
    const box = el.getBoundingClientRect();
    if (box.width && box.right > width + 1 && !scrolls(el)) { faults.push(`${name(el)} reaches ${Math.round(box.right)} pixels`); break; }
  }

  // No column so narrow that its words are broken into letters.
  for (const cell of document.querySelectorAll(".md-content :is(td, th)")) {
    const line = parseFloat(getComputedStyle(cell).lineHeight), longest = Math.max(...cell.textContent.split(/[\s/_.-]+/).map((w) => w.length));
    if (longest > 3 && cell.clientWidth < 60 && cell.clientHeight > 5 * line) { faults.push(`${name(cell)} is ${cell.clientWidth} pixels wide`); break; }
  }

  // Contrast: WCAG 2.1, 1.4.3. https://www.w3.org/TR/WCAG21/#contrast-minimum
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parsed = new Map();
  const rgba = (text) => {
    if (!parsed.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const d = canvas.getImageData(0, 0, 1, 1).data;
      parsed.set(text, [d[0], d[1], d[2], d[3] / 255]);
    }
    return parsed.get(text);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const background = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255, v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const el = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = el.getBoundingClientRect();
    if (!box.width || el.closest(".md-skip, svg, script, style")) continue;
    const style = getComputedStyle(el), back = background(el), front = over(rgba(style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight, 10) >= 700;
    const wanted = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const key = `${style.color} ${back} ${el.className}`;
    if (ratio < wanted && !seen.has(key)) { seen.add(key); faults.push(`${name(el)} has the contrast ${ratio.toFixed(2)}, less than ${wanted} (${style.color} on ${back.map(Math.round)})`); }
  }

  // Pictures have arrived and have a text.
  for (const img of document.images) {
    if (!img.complete || !img.naturalWidth) faults.push(`the picture ${img.getAttribute("src")} does not load`);
    if (!img.alt) faults.push(`the picture ${img.getAttribute("src")} has no text`);
  }
  return faults;
})()
