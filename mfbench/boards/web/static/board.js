/* The page of a board: sorting, filtering and columns by DataTables; anchors, the panel of a row, the theme.
   Texts from records are written as text, never as HTML. */
"use strict";
(() => {
  const NARROW = 700; // pixels: below, a table begins with rank, method and score
  const ROW_ID = 16; // hexadecimal digits
  const WIDE_GROUPS = ["part", "cost", "fact"];
  const boards = [];

  /** An element with its children: strings become text. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  /* -- sorting --------------------------------------------------------------------------------------------- */

  /** A cell's data-order, "GROUP KEY": yardsticks are groups of their own, and an absent key is the last. */
  function keyOf(text, numeric) {
    const key = text.slice(2);
    return { group: Number(text[0]), key: key === "" ? null : numeric ? Number(key) : key };
  }

  const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

  /** The comparison of two keys, best first where `sign` says so; `state.apart` keeps the groups apart. */
  function comparison(state, numeric, sign) {
    const order = numeric ? (a, b) => (a < b ? -1 : Number(a > b)) : byName;
    return (a, b) =>
      (state.apart ? a.group - b.group : 0) ||
      (a.key === null) - (b.key === null) ||
      (a.key === null ? 0 : sign * order(a.key, b.key));
  }

  /** Registers how the columns of one table are sorted; the names of the two types. */
  function sortedAs(state, number) {
    return [true, false].map((numeric) => {
      const name = `${numeric ? "number" : "name"}-${number}`;
      DataTable.type(name, {
        order: {
          pre: (text) => keyOf(text, numeric),
          asc: comparison(state, numeric, 1),
          desc: comparison(state, numeric, -1),
        },
      });
      return name;
    });
  }

  function columnOptions(heads, types) {
    return heads.map((head, target) => ({
      target,
      type: head.classList.contains("num") ? types[0] : types[1],
      searchable: !head.classList.contains("num") || head.dataset.group === "name",
      orderSequence: head.dataset.first === "desc" ? ["desc", "asc", ""] : ["asc", "desc", ""],
      visible: isShownAtFirst(head.dataset.group),
    }));
  }

  function isShownAtFirst(group) {
    return group !== "other" && !(innerWidth < NARROW && WIDE_GROUPS.includes(group));
  }

  /* -- one table ------------------------------------------------------------------------------------------- */

  function setUp(section, number) {
    const element = section.querySelector("table.grid");
    const heads = [...element.tHead.rows[0].cells];
    const state = { apart: true };
    const rest = section.querySelector("script.rest");
    const paged = rest !== null;
    const table = new DataTable(element, {
      autoWidth: false,
      info: false,
      paging: paged,
      pageLength: 100,
      lengthMenu: [50, 100, 500, { label: "all", value: -1 }],
      order: [],
      orderDescReverse: false,
      orderMulti: true,
      columnDefs: columnOptions(heads, sortedAs(state, number)),
      layout: {
        topStart: null,
        topEnd: null,
        bottomStart: paged ? "pageLength" : null,
        bottomEnd: paged ? "paging" : null,
      },
    });
    const board = { section, element, heads, state, table, slug: element.dataset.slug, data: null };
    if (paged) {
      table.rows.add(rowsOf(rest)).draw();
      movePages(board);
    }
    addTools(board);
    element.addEventListener("click", (event) => openFrom(board, event));
    return board;
  }

  /** The rows of a long table that are not in the document yet. */
  function rowsOf(rest) {
    const template = document.createElement("template");
    template.innerHTML = rest.textContent; // the same template wrote it as the rows above, names escaped
    rest.remove();
    return [...template.content.children];
  }

  /** Out of what scrolls sideways. */
  function movePages(board) {
    const pages = board.section.querySelector(".pages");
    pages.append(...board.table.table().container().querySelectorAll(".dt-length, .dt-paging"));
    pages.hidden = false;
  }

  function addTools(board) {
    const tools = board.section.querySelector(".tools");
    const search = tools.querySelector("input[type=search]");
    search.addEventListener("input", () => board.table.search(search.value).draw());
    for (const select of tools.querySelectorAll("select")) {
      select.addEventListener("change", () => filterBy(board, select.dataset.key, select.value));
    }
    tools.querySelector(".apart")?.addEventListener("change", (event) => {
      board.state.apart = event.target.checked;
      board.table.order(board.table.order()).draw();
    });
    addChooser(board, tools.querySelector(".chooser"));
    board.table.on("draw", () => count(board));
    count(board);
    tools.hidden = false;
  }

  function filterBy(board, key, value) {
    const column = board.table.column(place(board, key));
    column.search(value, { exact: value !== "" }).draw();
  }

  function place(board, key) {
    return board.heads.findIndex((head) => head.dataset.key === key);
  }

  /** How many rows are shown, where not all are; and whether the board's own order stands. */
  function count(board) {
    const shown = board.table.rows({ search: "applied" }).count();
    const all = board.table.rows().count();
    const [some, total] = [shown, all].map((number) => number.toLocaleString("en"));
    const said = shown === all ? `${total} rows` : `${some} of ${total} rows`;
    board.section.querySelector(".count").textContent = said;
    const sorted = board.table.order().some(([, direction]) => direction);
    board.element.classList.toggle("sorted", sorted);
  }

  function addChooser(board, chooser) {
    const field = chooser.querySelector("fieldset");
    board.heads.forEach((head, index) => {
      if (head.dataset.group === "name") return;
      const box = make("input", { type: "checkbox", value: head.dataset.key });
      box.checked = board.table.column(index).visible();
      box.addEventListener("change", () => board.table.column(index).visible(box.checked));
      field.append(make("label", {}, box, ` ${titleOf(head)}`));
    });
    document.addEventListener("click", (event) => {
      if (!chooser.contains(event.target)) chooser.open = false;
    });
    chooser.addEventListener("keydown", (event) => {
      if (event.key === "Escape") chooser.open = false;
    });
  }

  function titleOf(head) {
    return head.querySelector(".title").textContent;
  }

  /* -- anchors --------------------------------------------------------------------------------------------- */

  /** What stands behind "#"; as it is where it was damaged on its way. */
  function anchorOf({ hash }) {
    try {
      return decodeURIComponent(hash.slice(1));
    } catch {
      return hash.slice(1);
    }
  }

  /** The board, row and column that an anchor names: "SLUG.ROW" or "SLUG.ROW.COLUMN". */
  function parse(anchor) {
    const board = boards.find((each) => anchor.startsWith(`${each.slug}.`) && rowOf(each, anchor).any());
    if (!board) return null;
    const key = anchor.slice(board.slug.length + ROW_ID + 2);
    return { board, row: rowOf(board, anchor), key };
  }

  function rowOf(board, anchor) {
    const id = anchor.slice(0, board.slug.length + ROW_ID + 1);
    return board.table.row((index, data, node) => node.id === id);
  }

  /** Shows what the address names, even where it is filtered away, on another page or in a hidden column. */
  function reveal() {
    document.querySelector(".hit")?.classList.remove("hit");
    const found = parse(anchorOf(location));
    if (!found) return;
    const { board, row, key } = found;
    if (!board.table.rows({ search: "applied" }).indexes().toArray().includes(row.index())) clear(board);
    turnTo(board, row.index());
    const column = place(board, key);
    if (column >= 0) showColumn(board, column);
    const node = column >= 0 ? board.table.cell(row.index(), column).node() : row.node();
    node.classList.add("hit");
    node.scrollIntoView({ block: "center", inline: column >= 0 ? "center" : "nearest" });
  }

  function clear(board) {
    board.section.querySelectorAll(".tools input[type=search], .tools select").forEach((each) => {
      each.value = "";
    });
    board.table.search("").columns().search("").draw();
  }

  function turnTo(board, index) {
    const length = board.table.page.len();
    if (length < 0) return;
    const position = board.table.rows({ order: "applied", search: "applied" }).indexes().indexOf(index);
    const page = Math.floor(position / length);
    if (page !== board.table.page()) board.table.page(page).draw("page");
  }

  function showColumn(board, index) {
    if (board.table.column(index).visible()) return;
    board.table.column(index).visible(true);
    const key = board.heads[index].dataset.key;
    for (const box of board.section.querySelectorAll(".chooser input")) box.checked ||= box.value === key;
  }

  /* -- the panel of a row ---------------------------------------------------------------------------------- */

  function openFrom(board, event) {
    const cell = event.target.closest("tbody td, tbody th");
    if (!cell || !getSelection().isCollapsed) return;
    const row = cell.closest("tr");
    const index = board.table.cell(cell).index();
    if (!index) return; // "no matching rows"
    const key = cell.tagName === "TH" ? "" : board.heads[index.column].dataset.key;
    if (!event.target.closest("a")) history.replaceState(null, "", `#${row.id}${key && `.${key}`}`);
    open(board, row.id, key);
  }

  function open(board, id, key) {
    board.data ??= JSON.parse(board.section.querySelector("script.data").textContent);
    const row = board.data.rows[id.slice(board.slug.length + 1)];
    const panel = document.querySelector("dialog.panel");
    panel.querySelector("#panel-title").textContent = row.label;
    const body = panel.querySelector(".panel-body");
    body.replaceChildren(...told(board, id, row, key).filter((part) => part !== null));
    panel.showModal();
    body.scrollTop = 0;
    body.querySelector(".hit")?.scrollIntoView({ block: "center" });
  }

  function told(board, id, row, key) {
    const standing = row.standing === "ranked" ? `rank ${row.rank}` : row.standing;
    return [
      make("p", { class: "lead" }, `${standing} · ${row.kind} · ${row.plugin}`),
      row.summary ? make("p", {}, row.summary, row.reference ? ` (${row.reference})` : "") : null,
      row.failures ? make("p", { class: "failures" }, make("b", {}, row.failures), ` ${row.reason}`) : null,
      row.controls.length ? make("p", {}, `Not shown to be better than ${row.controls.join(", ")}.`) : null,
      ...part("Values", values(board, id, row, key)),
      ...part("Seeds", seeds(row)),
      ...part("Parameters", parameters(row)),
      ...part("Remarks", row.notes.length ? list(row.notes) : null),
      make("p", { class: "permalink" }, make("a", { href: `#${id}` }, "Link to this row")),
    ];
  }

  function part(title, content) {
    return content ? [make("h3", {}, title), content] : [];
  }

  function list(texts) {
    return make("ul", {}, ...texts.map((text) => make("li", {}, text)));
  }

  function grid(heads, rows) {
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
    return make("div", { class: "scroller", tabindex: "0" },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  /** Seven significant digits: more than a table shows; the files have them all. */
  function digits(value) {
    if (value === null) return "–";
    const number = Number(value);
    return Number.isFinite(number) ? String(Number(number.toPrecision(7))).replace("-", "−") : String(value);
  }

  function values(board, id, row, wanted) {
    if (!row.values.length) return null;
    const rules = board.data.rules;
    const rows = row.values.map(([key, value, low, high, rule, n]) => {
      const interval = low === null || high === null ? "–" : `${digits(low)} to ${digits(high)}`;
      const link = make("a", { href: `#${id}.${key}` }, board.data.columns[key].title);
      const line = [link, digits(value), interval, n === null ? "–" : n.toLocaleString("en"), rules[rule]];
      const cells = line.map((each, index) => make(index ? "td" : "th", {}, each));
      return make("tr", key === wanted ? { class: "hit" } : {}, ...cells);
    });
    return grid(["metric", "value", "interval", "examples", "how"], rows);
  }

  function seeds(row) {
    const rows = row.seeds.map((line) => {
      const [seed, status, value, cell] = line;
      const command = make("code", {}, `mfbench show ${cell}`);
      return make("tr", {}, ...[String(seed), status, digits(value), command].map((each) => make("td", {}, each)));
    });
    return rows.length ? grid(["seed", "status", "score", "cell"], rows) : null;
  }

  function parameters(row) {
    const pairs = Object.entries(row.parameters);
    const terms = pairs.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]);
    return pairs.length ? make("dl", {}, ...terms) : null;
  }

  function setUpPanel() {
    const panel = document.querySelector("dialog.panel");
    if (!panel) return;
    panel.querySelector(".close").addEventListener("click", () => panel.close());
    panel.addEventListener("click", (event) => {
      if (event.target === panel || event.target.closest("a[href^='#']")) panel.close();
    });
  }

  /* -- on paper -------------------------------------------------------------------------------------------- */

  /** Paper turns no pages and opens nothing: all rows that are not filtered away, and what is folded. */
  function setUpPrint() {
    const undo = [];
    addEventListener("beforeprint", () => {
      document.querySelectorAll("details:not([open], .chooser)").forEach((each) => {
        each.open = true;
        undo.push(() => (each.open = false));
      });
      boards.filter(({ table }) => table.page.len() > 0).forEach(({ table }) => {
        const [length, page] = [table.page.len(), table.page()];
        table.page.len(-1).draw();
        undo.push(() => table.page.len(length).draw().page(page).draw("page"));
      });
    });
    addEventListener("afterprint", () => undo.splice(0).forEach((each) => each()));
  }

  /* -- light and dark -------------------------------------------------------------------------------------- */

  const THEMES = ["automatic", "light", "dark"];

  function remembered() {
    try {
      return localStorage.getItem("mfbench-theme") ?? THEMES[0];
    } catch {
      return THEMES[0]; // a browser may refuse a page from a file
    }
  }

  function setTheme(name, button) {
    const theme = THEMES.includes(name) ? name : THEMES[0];
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try {
      localStorage.setItem("mfbench-theme", theme);
    } catch {
      // then it holds for this page
    }
  }

  function setUpTheme() {
    const button = document.querySelector("button.theme");
    setTheme(remembered(), button);
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = (THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length;
      setTheme(THEMES[next], button);
    });
  }

  setUpTheme();
  setUpPanel();
  document.querySelectorAll("section.board").forEach((section, number) => boards.push(setUp(section, number)));
  setUpPrint();
  addEventListener("hashchange", reveal);
  reveal();
})();
