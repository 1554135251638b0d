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

  // score is how many characters of the message the text has, in their order; or, for a
  // part of a message of two words or more, how long the text is.
  function score(parts, text) {
    let at = 0, length = 0;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0) return text.includes(" ") && parts.some((p) => p.includes(text)) ? text.length / 1000 : 0;
      at = found + part.length;
      length += part.length;
    }
    return length;
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
      const tag = query.trim() ? tagOf(plain(query)) : "";
      const words = query.replace(prefix, "").replace(/[*+:^~"…(){}\[\]\\]/g, " ").replace(/(^|\s)-+|-+(?=\s|$)/g, " ").trim();
      return `${tag} ${words}`.trim();
    },
  };
})();
