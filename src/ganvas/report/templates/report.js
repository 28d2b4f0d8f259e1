"use strict";

// Light or dark: the system's theme, unless the reader has chosen one; set before the first paint.
const THEME = "ganvas-theme";
const systemTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const remembered = () => {
  try { return localStorage.getItem(THEME); } catch { return null; } // a browser may forbid it for local files
};
let theme = remembered();

function showTheme() {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const button = document.querySelector(".theme");
  if (!button) return;
  const other = (theme || systemTheme()) === "dark" ? "light" : "dark";
  button.textContent = other === "dark" ? "Dark" : "Light";
  button.setAttribute("aria-label", `change to ${other} colours`);
  button.hidden = false;
}

function changeTheme() {
  const other = (theme || systemTheme()) === "dark" ? "light" : "dark";
  theme = other === systemTheme() ? null : other; // the same as the system: store nothing, and follow it again
  try {
    if (theme) localStorage.setItem(THEME, theme);
    else localStorage.removeItem(THEME);
  } catch { /* then it lasts until the page is closed */ }
  showTheme();
}

// A click on a column header sorts the table: ascending, descending, then the original order.
function makeSortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (column === 0) return cell.querySelector(".name").textContent;
    return cell.dataset.order === undefined ? null : Number(cell.dataset.order);
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    const label = head.querySelector(".head");
    button.type = "button";
    button.className = "head";
    button.append(...label.childNodes);
    label.replaceWith(button);
    button.addEventListener("click", () => {
      const next = { null: "ascending", ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      let rows = original;
      if (next) {
        head.setAttribute("aria-sort", next);
        const known = original.filter((row) => key(row, column) !== null);
        known.sort((a, b) => compare(key(a, column), key(b, column)) * (next === "ascending" ? 1 : -1));
        rows = [...known, ...original.filter((row) => key(row, column) === null)];
      }
      body.append(...rows);
    });
  });
}

// Selects which images are shown, and which of their scores.
function makeChooser(form, rows, each) {
  const group = form.querySelector("#group");
  const measure = form.querySelector("#measure");
  const show = () => {
    for (const row of rows) {
      row.hidden = group.value !== "" && !JSON.parse(row.dataset.why).includes(group.value);
      if (!measure) continue;
      for (const figure of row.querySelectorAll("figure")) {
        const score = figure.querySelector(".score");
        if (score) score.textContent = each.images[row.dataset.number][figure.dataset.column][measure.value];
      }
    }
  };
  const even = [...group.options].find((option) => option.value.startsWith("evenly"));
  if (even) group.value = even.value;
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
}

// Two answers to the same image, one over the other; the slider says how much of the left one is shown.
function makeComparer(dialog, rows, each) {
  const [under, over] = dialog.querySelectorAll(".stage img");
  const stage = dialog.querySelector(".stage");
  const slider = stage.querySelector("input");
  const [left, right] = dialog.querySelectorAll(".sides select");
  let row = null;

  const images = () =>
    Object.fromEntries([...row.querySelectorAll("figure")].map((figure) => [figure.dataset.column, figure.querySelector("img")]));

  const cut = () => {
    stage.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % ${left.value}, ${100 - slider.value} % ${right.value}`);
  };

  const show = () => {
    const shown = images();
    const first = shown[left.value];
    [[over, left.value], [under, right.value]].forEach(([image, column]) => {
      image.src = shown[column].src;
      image.alt = shown[column].alt;
      image.className = `${image === over ? "over" : "under"} ${shown[column].className}`;
    });
    stage.style.setProperty("--aspect", first.getAttribute("width") / first.getAttribute("height"));
    const known = each.images[row.dataset.number];
    const heads = dialog.querySelectorAll("thead th");
    heads[1].textContent = left.value;
    heads[2].textContent = right.value;
    const lines = each.measures.map((measure, number) => {
      const line = document.createElement("tr");
      const values = [left, right].map((side) => (known[side.value] || [])[number] || "–");
      for (const [kind, text] of [["th", measure], ["td", values[0]], ["td", values[1]]]) {
        const cell = document.createElement(kind);
        if (kind === "th") cell.scope = "row";
        cell.textContent = text;
        line.append(cell);
      }
      return line;
    });
    dialog.querySelector("tbody").replaceChildren(...lines);
    dialog.querySelector("table").hidden = lines.length === 0;
    cut();
  };

  const open = (chosen, first, second) => {
    row = chosen;
    const columns = Object.keys(images());
    for (const side of [left, right]) {
      side.replaceChildren(...columns.map((column) => new Option(column, column)));
    }
    const others = columns.filter((column) => column !== first);
    left.value = columns.includes(first) ? first : columns[0];
    right.value = columns.includes(second) ? second : others.includes("target") ? "target" : others[0] || columns[0];
    dialog.querySelector("h2").textContent = row.querySelector("h3").textContent;
    show();
    if (!dialog.open) {
      dialog.showModal();
      slider.focus();
    }
  };

  for (const one of rows) {
    for (const figure of one.querySelectorAll("figure")) {
      figure.querySelector("button").addEventListener("click", () => open(one, figure.dataset.column));
    }
  }
  slider.addEventListener("input", cut);
  left.addEventListener("change", show);
  right.addEventListener("change", show);
  dialog.addEventListener("click", (event) => {
    const go = event.target.dataset.go;
    if (event.target === dialog || go === "0") dialog.close(); // the dialog itself is the target only outside its content
    else if (go) {
      const seen = rows.filter((one) => !one.hidden);
      open(seen[(seen.indexOf(row) + Number(go) + seen.length) % seen.length], left.value, right.value);
    }
  });
}

showTheme();
document.addEventListener("DOMContentLoaded", () => {
  showTheme();
  document.querySelector(".theme").addEventListener("click", changeTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  const numbers = document.querySelector("#each");
  if (numbers) {
    const each = JSON.parse(numbers.textContent);
    const rows = [...document.querySelectorAll("article.row")];
    makeChooser(document.querySelector(".controls"), rows, each);
    makeComparer(document.querySelector("#comparer"), rows, each);
  }
  addEventListener("beforeprint", () => {
    document.querySelectorAll("img[loading]").forEach((image) => image.removeAttribute("loading"));
    document.querySelectorAll("details").forEach((part) => { part.open = true; });
  });
});
