// What a person sets going: every write is JSON by fetch, so that a form of another site cannot make it.
const say = (text, bad = false) => {
  const toast = document.createElement("div");
  toast.className = bad ? "toast bad" : "toast";
  const words = document.createElement("p");
  words.textContent = text; // as text: what the server says may quote a title that an attacker wrote
  const close = document.createElement("button");
  close.className = "quiet";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  close.addEventListener("click", () => toast.remove());
  toast.append(words, close);
  document.getElementById("toasts").append(toast);
  if (!bad) setTimeout(() => toast.remove(), 6000);
};

const sentence = (answer, status) => {
  const told = answer?.detail ?? answer?.error ?? answer?.message;
  if (typeof told === "string") return told;
  if (typeof told?.message === "string") return told.message;
  if (Array.isArray(told)) return told.map((one) => one.msg ?? String(one)).join("; ");
  return `The service answered with status ${status}.`;
};

const post = async (path, body) => {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The service does not answer. Is `intercom-bulk serve` still running?");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(sentence(answer, response.status));
  return answer;
};

// "/plans/{digest}" with what the answer says. Only a path of this site is gone to.
const filled = (template, answer) =>
  template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(String(answer?.[name] ?? "")));

const act = async (element, path, body) => {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  const { then, said } = element.dataset; // the page moves on meanwhile, and may make another button of this one
  try {
    const answer = await post(path, body);
    element.closest("dialog")?.close();
    if (then) location.assign(filled(then, answer));
    else {
      say(said ?? "Done.");
      document.body.dispatchEvent(new CustomEvent("moved"));
    }
  } catch (error) {
    const place = element.closest("form")?.querySelector("[data-error]");
    if (place) place.textContent = error.message;
    else {
      element.closest("dialog")?.close();
      say(error.message, true);
      document.body.dispatchEvent(new CustomEvent("moved")); // what was asked may be wrong by now
    }
  } finally {
    element.removeAttribute("aria-busy");
  }
};

// The fields of a form as JSON. "a.b" goes into an object; a checkbox is true or false; what is empty is left out.
const gathered = (form) => {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.dataset.skipped !== undefined) continue;
    const isBox = field.type === "checkbox";
    if (isBox ? !field.checked && field.dataset.unchecked === undefined : field.value === "") continue;
    const path = field.name.split("\u001f");
    let place = body;
    for (const step of path.slice(0, -1)) place = place[step] ??= {};
    place[path.at(-1)] = read(field, isBox);
  }
  return body;
};

// NAME=TEXT, or NAME:=JSON for a number, true, false or null, as the command line has it.
const pair = (line) => {
  const [, name, colon, value] = /^([^=]*?)(:?)=([\s\S]*)$/.exec(line) ?? [];
  if (!name) throw new Error(`“${line}” is no NAME=VALUE.`);
  if (!colon) return [name.trim(), value];
  try {
    return [name.trim(), JSON.parse(value)];
  } catch {
    throw new Error(`“${value}” is no number, true, false or null: write ${name}=${value} for a text.`);
  }
};

// "tag vip", "close": a word, and what it takes.
const step = (line, { bare, pairs }) => {
  const [, word, rest] = /^(\S+)\s*([\s\S]*)$/.exec(line);
  if (bare.split(" ").includes(word)) return { [word]: true };
  return { [word]: pairs.split(" ").includes(word) ? Object.fromEntries([pair(rest)]) : rest };
};

const read = (field, isBox) => {
  if (isBox) return field.checked;
  if (field.type === "number") return Number(field.value);
  const lines = () => field.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (field.dataset.as === "lines") return lines();
  if (field.dataset.as === "pairs") return Object.fromEntries(lines().map(pair));
  if (field.dataset.as === "steps") return lines().map((line) => step(line, field.dataset));
  return field.value;
};

document.addEventListener("click", (event) => {
  const element = event.target.closest("button");
  if (!element) return;
  if (element.dataset.opens) document.getElementById(element.dataset.opens)?.showModal();
  else if (element.dataset.closes !== undefined) element.closest("dialog")?.close();
  else if (element.dataset.post) act(element, element.dataset.post, JSON.parse(element.dataset.body ?? "{}"));
  else if (element.id === "theme") turn();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.post === undefined) return;
  event.preventDefault();
  const place = form.querySelector("[data-error]");
  if (place) place.textContent = "";
  const button = form.querySelector("button[type=submit]");
  button.dataset.then = form.dataset.then ?? "";
  let body;
  try {
    body = gathered(form);
  } catch (error) {
    if (place) place.textContent = error.message;
    return;
  }
  act(button, form.dataset.post, body);
});

// A button that waits for its word: what nobody can undo is typed, not clicked.
document.addEventListener("input", (event) => {
  const wanted = event.target.dataset.word;
  if (wanted === undefined) return;
  document.getElementById(event.target.dataset.unlocks).disabled = event.target.value.trim() !== wanted;
});

const turn = () => {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const chosen = isDark ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem("theme", chosen);
  document.dispatchEvent(new CustomEvent("themed"));
};
