// Before the first paint, so that a page chosen dark never flashes light. Without a choice the system's is followed.
(() => {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
