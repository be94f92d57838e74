// The stream only says that something moved; what is shown is rendered by the server and morphed in, at most once a
// second, so that focus, selection and an open menu stay where they are.
(() => {
  const EVERY = 1000;
  const SPOKEN_EVERY = 20000;
  const state = document.getElementById("link-state");
  const banner = document.getElementById("banner");
  let last = 0;
  let waiting = null;
  let over = false;

  const isAsking = () => document.querySelector("dialog[open]") !== null;
  const move = () => {
    waiting = null;
    if (isAsking()) {
      waiting = setTimeout(move, EVERY);
      return;
    }
    last = performance.now();
    document.body.dispatchEvent(new CustomEvent("moved"));
    rows();
  };
  // The table of items is asked for less often, and never under the hands of somebody who searches in it.
  const ROWS_EVERY = 4000;
  let lastRows = performance.now();
  let rowsWaiting = null;
  const rows = () => {
    rowsWaiting ??= setTimeout(() => {
      rowsWaiting = null;
      const search = document.getElementById("text");
      if (!search || isAsking() || document.activeElement === search || search.value !== search.defaultValue) return;
      lastRows = performance.now();
      document.body.dispatchEvent(new CustomEvent("rows"));
    }, Math.max(0, lastRows + ROWS_EVERY - performance.now()));
  };
  // The last of a burst is shown too: it is the one that says how a run ended.
  const moved = () => {
    waiting ??= setTimeout(move, Math.max(0, last + EVERY - performance.now()));
  };

  const show = (word, text) => {
    if (!state) return;
    state.dataset.state = word;
    state.textContent = { live: "Live", lost: "Not connected", wait: "Connecting" }[word];
    banner.hidden = word !== "lost";
    if (word === "lost" && banner.textContent !== text) banner.textContent = text;
  };
  const LOST = "Connection to the service lost: what you see may be old. Trying again.";
  const ENDED = "The service no longer knows this browser: open the address that `intercom-bulk serve` printed.";

  document.addEventListener("htmx:sse:before:message", (event) => {
    event.preventDefault();
    moved();
  });
  document.addEventListener("htmx:sse:after:connection", (event) => {
    const status = event.detail?.connection?.status ?? 200;
    if (status >= 400) show("lost", status === 401 ? ENDED : LOST);
    else {
      show("live");
      if (over) moved();
      over = false;
    }
  });
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail?.connection?.attempt > 0 && !document.hidden) {
      over = true;
      show("lost", banner.textContent === ENDED ? ENDED : LOST);
    }
  });
  document.addEventListener("htmx:sse:error", (event) => {
    if (document.hidden) return;
    over = true;
    show("lost", event.detail?.status === 401 ? ENDED : LOST);
  });

  // What a person opened stays open when the numbers around it change.
  htmx.registerExtension("keep-open", {
    htmx_before_morph_attr: (element, detail) =>
      !(detail.attrName === "open" && (element.tagName === "DETAILS" || element.tagName === "DIALOG")) &&
      !(detail.attrName === "aria-busy"),
  });

  // For ears: at once when the state changes, and else one sentence in twenty seconds.
  const voice = document.getElementById("said");
  let spokenAt = performance.now();
  let spokenState = document.querySelector("[data-say]")?.dataset.sayState;
  document.addEventListener("htmx:after:swap", () => {
    document.dispatchEvent(new CustomEvent("drawn"));
    const told = document.querySelector("[data-say]");
    if (!told || !voice) return;
    const now = performance.now();
    if (told.dataset.sayState !== spokenState || now - spokenAt > SPOKEN_EVERY) {
      spokenAt = now;
      spokenState = told.dataset.sayState;
      voice.textContent = told.dataset.say;
    }
  });
})();
