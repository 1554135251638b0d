// Finds a message of the programs by its words before the theme's search ranks pages.
// The build puts the list of messages here, each with the tag that its entry in the
// index has. "…" stands for text that differs from job to job.
(() => {
  // What a line of a job's log, or of jacamar-admin check, begins with.
  const prefix = /^\s*(jacamar:\s*)?((error|warning|warn|fail)\b\s*:?\s*)?/i;
  const messages = MESSAGES.map(([text, tag]) => ({
    tag, parts: plain(text).split("…").map((part) => part.trim()).filter(Boolean),
  }));

  function plain(text) {
    return text.toLowerCase().replace(prefix, "").replace(/["'`“”]/g, "").replace(/\s+/g, " ").trim();
  }

  // score is how many characters the text and the message share: all parts of the message
  // in their order, or else as many as partly.
  function score(parts, text) {
    let at = 0, length = 0;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0) return Math.max(partly(parts, text), text.startsWith(parts[0]) && parts[0].includes(" ") ? length - 0.5 : 0);
      at = found + part.length;
      length += part.length;
    }
    return length;
  }

  // partly is the length of a text of two words or more that one part has. A message that
  // only contains the text loses to one that is the text, and to one that begins with it.
  function partly(parts, text) {
    if (!text.includes(" ") || !parts.some((p) => p.includes(text))) return 0;
    return text.length - (parts[0].startsWith(text) ? 0.25 : 0.5);
  }

  function tagOf(text) {
    let best = { tag: "", score: 0 };
    for (const m of messages) {
      const one = score(m.parts, text);
      if (one > best.score) best = { tag: m.tag, score: one };
    }
    return best.tag;
  }

  // The characters that are operators of the query language are text in a message.
  window.__search = {
    transform(query) {
      const tag = query.trim() ? tagOf(plain(query).replace(/\s*(…|\.{3})$/, "")) : "";
      const words = query.replace(prefix, "").replace(/[*+:^~"…(){}\[\]\\]/g, " ").replace(/(^|\s)-+|-+(?=\s|$)/g, " ").trim();
      return `${tag} ${words}`.trim();
    },
  };
})();
