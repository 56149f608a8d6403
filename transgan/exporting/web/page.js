// The page: its controls, the grid, one image enlarged, and the way between two seeds.
(() => {
  const $ = (id) => document.getElementById(id);
  const facts = JSON.parse($("facts").textContent);
  const LAST = Number.MAX_SAFE_INTEGER;
  const counts = Array.from($("count").options, (option) => Number(option.value));
  const small = facts.resolution <= 128;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const state = { seed: 0, label: null, psi: 1, count: 64 };
  let engine = null;
  let drawing = 0; // number of the latest request for a grid; earlier ones stop
  let shown = []; // {seed, label, psi, canvas} of each image of the grid
  let enlarged = 0; // position in the grid
  let returnTo = null; // what has the focus after it was enlarged, if it is not that image

  document.body.classList.toggle("pixels", small);

  const fail = (error) => {
    $("error").textContent = error instanceof Error ? error.message : String(error);
    $("error").hidden = false;
    $("status").textContent = "There are no images.";
  };
  const say = (text) => { $("status").textContent = text; };
  const nameOf = (label) => facts.class_names[label] ?? `class ${label}`;
  const wordsOf = ({ seed, label, psi }) => [
    `Seed ${seed}`, ...(facts.num_classes ? [`class ${facts.class_names[label] ?? label}`] : []), ...(facts.has_psi ? [`psi ${psi}`] : []),
  ].join(" · ");
  const wholeSeed = (input) => (input.value !== "" && input.checkValidity() ? Number(input.value) : null);
  const labelOf = (seed) => (facts.num_classes ? state.label ?? engine.labels([seed])[0] : 0);
  const labelsOf = (seeds) => (facts.num_classes ? seeds.map(labelOf) : []);

  // Image `index` of {data, dims} on a canvas of its own size.
  function paint(canvas, { data, dims: [, channels, height, width] }, index = 0) {
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    const size = width * height;
    const start = index * channels * size;
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = data[start + (channels === 1 ? 0 : c * size) + i];
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  // ---- state: the fragment of the address, and the controls

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const number = (name, low, high, whole, otherwise) => {
      const value = given.get(name)?.trim() ? Number(given.get(name)) : NaN;
      return value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : otherwise;
    };
    state.seed = number("seed", 0, LAST, true, 0);
    state.count = number("count", 1, 1024, true, 64);
    if (!counts.includes(state.count)) state.count = 64;
    state.psi = facts.has_psi ? number("psi", 0, 1.5, false, 1) : 1;
    state.label = facts.num_classes ? number("class", 0, facts.num_classes - 1, true, null) : null;
    state.seed = Math.min(state.seed, LAST - state.count + 1);
  }

  function reflect() {
    $("seed").value = state.seed;
    $("count").value = state.count;
    if (facts.num_classes) $("class").value = state.label ?? "";
    if (facts.has_psi) {
      $("psi").value = state.psi;
      $("psi-value").value = state.psi;
    }
    $("previous").disabled = state.seed === 0;
  }

  // The address of what is shown; some browsers refuse if it changes too often, and the next one counts.
  function address() {
    const parts = [`seed=${state.seed}`, `count=${state.count}`];
    if (state.label !== null) parts.push(`class=${state.label}`);
    if (facts.has_psi) parts.push(`psi=${state.psi}`);
    try {
      history.replaceState(null, "", `#${parts.join("&")}`);
    } catch { /* as it was */ }
  }

  function change(changes) {
    Object.assign(state, changes);
    state.seed = Math.max(0, Math.min(state.seed, LAST - state.count + 1));
    reflect();
    if (engine) redraw();
  }

  // ---- the grid

  function layOut() {
    const grid = $("images");
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(state.count)));
    while (grid.children.length > state.count) grid.lastChild.remove();
    while (grid.children.length < state.count) {
      const button = document.createElement("button");
      button.type = "button";
      button.tabIndex = grid.children.length ? -1 : 0; // one stop of the tab key for all of them
      button.append(document.createElement("canvas"));
      grid.append(button);
    }
    if (!Array.prototype.some.call(grid.children, (button) => button.tabIndex === 0)) grid.children[0].tabIndex = 0;
    shown = Array.from(grid.children, (button, i) => {
      const seed = state.seed + i;
      const item = { seed, label: labelOf(seed), psi: state.psi, canvas: button.firstChild };
      item.canvas.classList.remove("new");
      button.setAttribute("aria-label", wordsOf(item));
      button.title = wordsOf(item);
      return item;
    });
  }

  async function redraw() {
    const mine = ++drawing;
    $("error").hidden = true;
    layOut();
    $("images").classList.add("busy");
    $("download").disabled = true;
    say(`Generating ${state.count} images …`);
    const items = shown;
    const seeds = items.map((item) => item.seed);
    try {
      const result = await engine.draw(engine.latents(seeds), labelsOf(seeds), state.psi, (first, part) => {
        if (mine !== drawing) return false;
        for (let i = 0; i < part.dims[0]; i++) {
          paint(items[first + i].canvas, part, i);
          items[first + i].canvas.classList.add("new");
        }
        return true;
      });
      if (!result || mine !== drawing) return;
      $("images").classList.remove("busy");
      $("download").disabled = false;
      const each = result.milliseconds / seeds.length;
      const range = seeds.length > 1 ? `seeds ${seeds[0]} to ${seeds[seeds.length - 1]}` : `seed ${seeds[0]}`;
      say(`${seeds.length === 1 ? "1 image" : `${seeds.length} images`}, ${range}, ` +
        `${each >= 10 ? Math.round(each) : each.toPrecision(2)} ms per image.`);
      address();
    } catch (error) {
      if (mine === drawing) fail(`The model could not be run: ${error.message ?? error}`);
      return;
    }
    await between(true);
  }

  function focusOn(index) {
    const buttons = Array.from($("images").children);
    buttons.forEach((button, i) => { button.tabIndex = i === index ? 0 : -1; });
    buttons[index]?.focus();
  }
  $("images").addEventListener("keydown", (event) => {
    const buttons = Array.from($("images").children);
    const at = buttons.indexOf(document.activeElement);
    const columns = getComputedStyle($("images")).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: buttons.length - 1 - at };
    const to = at + (steps[event.key] ?? NaN);
    if (at < 0 || !buttons[to]) return;
    event.preventDefault();
    focusOn(to);
  });
  $("images").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) enlarge(Array.prototype.indexOf.call($("images").children, button));
  });

  // ---- files

  // What the file says of its images, as the files of `transgan sample` do.
  function origin(items, columns) {
    const own = {
      ...facts.origin.facts, seeds: items.map(({ seed }) => seed), labels: items.map(({ label }) => (facts.num_classes ? label : null)),
      classes: items.map(({ label }) => (facts.num_classes ? nameOf(label) : null)), psi: items[0].psi, batch_size: 64,
      ...(columns === null ? {} : { columns }),
    };
    const which = items.length === 1 ? `seed ${items[0].seed}` : `${items.length} seeds from ${items[0].seed} on`;
    return {
      software: columns === null ? facts.origin.software : facts.origin.grid, xmp: facts.origin.xmp, facts: own,
      description: `Generated by a trained model: ${which} of the run ${facts.run ?? "?"}`,
    };
  }
  function save(canvas, name, items, columns = null) {
    canvas.toBlob(async (blob) => {
      if (!blob) return fail("This browser could not make a PNG of the images.");
      const bytes = transganPng.telling(new Uint8Array(await blob.arrayBuffer()), origin(items, columns));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
      link.download = `${facts.name.replace(/[^\w.-]+/g, "-")}-${name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, "image/png");
  }
  const chosen = () => [
    ...(state.label === null ? [] : [`class-${state.label}`]), ...(facts.has_psi && state.psi !== 1 ? [`psi-${state.psi}`] : []),
  ].map((part) => `-${part}`).join("");

  $("download").addEventListener("click", () => {
    const columns = Math.min(shown.length, Math.ceil(Math.sqrt(shown.length)));
    const sheet = document.createElement("canvas");
    const factor = Math.max(1, Math.floor(40 / shown[0].canvas.width)); // as the grids of transgan
    const gap = shown.length > 1 ? 2 : 0;
    const [width, height] = [shown[0].canvas.width * factor, shown[0].canvas.height * factor];
    sheet.width = columns * (width + gap) + gap;
    sheet.height = Math.ceil(shown.length / columns) * (height + gap) + gap;
    const context = sheet.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillStyle = "rgb(128, 128, 128)";
    context.fillRect(0, 0, sheet.width, sheet.height);
    shown.forEach(({ canvas }, i) => {
      context.drawImage(canvas, gap + (i % columns) * (width + gap), gap + Math.floor(i / columns) * (height + gap), width, height);
    });
    save(sheet, `seeds-${shown[0].seed}-${shown[shown.length - 1].seed}${chosen()}`, shown, columns);
  });

  // ---- one image, enlarged

  function enlarge(index) {
    enlarged = Math.max(0, Math.min(index, shown.length - 1));
    const item = shown[enlarged];
    const canvas = $("enlarged-image");
    canvas.width = item.canvas.width;
    canvas.height = item.canvas.height;
    canvas.getContext("2d").drawImage(item.canvas, 0, 0);
    canvas.setAttribute("aria-label", `The image of ${wordsOf(item)}, enlarged`);
    $("enlarged-title").textContent = wordsOf(item);
    $("enlarged-previous").disabled = enlarged === 0;
    $("enlarged-next").disabled = enlarged === shown.length - 1;
    if (!$("enlarged").open) $("enlarged").showModal();
  }
  $("enlarged-previous").addEventListener("click", () => enlarge(enlarged - 1));
  $("enlarged-next").addEventListener("click", () => enlarge(enlarged + 1));
  $("enlarged-close").addEventListener("click", () => $("enlarged").close());
  $("enlarged-download").addEventListener("click", () => save($("enlarged-image"), `seed-${shown[enlarged].seed}${chosen()}`, [shown[enlarged]]));
  for (const end of ["from", "to"]) {
    $(`enlarged-${end}`).addEventListener("click", () => {
      $(end).value = shown[enlarged].seed;
      returnTo = $(end);
      $("enlarged").close();
      between(true);
    });
  }
  $("enlarged").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") enlarge(enlarged - 1);
    if (event.key === "ArrowRight") enlarge(enlarged + 1);
  });
  $("enlarged").addEventListener("click", (event) => {
    if (event.target === $("enlarged")) $("enlarged").close(); // beside the box
  });
  $("enlarged").addEventListener("close", () => {
    if (returnTo) returnTo.focus();
    else focusOn(enlarged);
    returnTo = null;
  });

  // ---- between two seeds

  let ends = null; // {latents, label} of the two seeds
  let asked = 0;
  let playing = 0; // number of the run of the animation that goes on, 0 for none
  let runs = 0;

  // Shows the image between; with `anew`, those of the two seeds as well.
  async function between(anew) {
    const mine = ++asked;
    const seeds = [wholeSeed($("from")), wholeSeed($("to"))];
    const t = Number($("position").value) / 100;
    $("position-value").value = `${$("position").value} %`;
    if (!engine || seeds.includes(null)) return;
    try {
      if (anew || !ends) {
        ends = { latents: engine.latents(seeds), label: labelOf(seeds[0]) };
        const labels = facts.num_classes ? [ends.label, ends.label] : [];
        const result = await engine.draw(ends.latents, labels, state.psi);
        paint($("from-image"), result, 0);
        paint($("to-image"), result, 1);
        if (mine !== asked) return;
      }
      const latent = transganEngine.slerp(...ends.latents, t);
      const result = await engine.draw([latent], facts.num_classes ? [ends.label] : [], state.psi);
      if (mine !== asked) return;
      paint($("middle"), result);
      $("middle").setAttribute("aria-label", `Image ${$("position").value} % of the way from seed ${seeds[0]} to seed ${seeds[1]}`);
      $("play").disabled = false;
    } catch (error) {
      pause();
      fail(`The model could not be run: ${error.message ?? error}`);
    }
  }

  function pause() {
    playing = 0;
    $("play").textContent = still.matches ? "Step" : "Play";
  }
  async function play() {
    const mine = playing = ++runs;
    $("play").textContent = "Pause";
    const begun = performance.now();
    const at = Number($("position").value) / 100;
    while (playing === mine) {
      const now = await new Promise(requestAnimationFrame);
      const way = (at + Math.max(0, now - begun) / 4000) % 2; // four seconds there, four back
      $("position").value = Math.round(100 * (way > 1 ? 2 - way : way));
      await between(false);
    }
  }
  $("play").addEventListener("click", () => {
    if (playing) return pause();
    if (!still.matches) return play();
    $("position").value = (Number($("position").value) + 10) % 110; // motion only as it is asked for
    between(false);
  });
  still.addEventListener("change", pause);
  $("position").addEventListener("input", () => { pause(); between(false); });
  for (const end of ["from", "to"]) $(end).addEventListener("change", () => between(true));

  // ---- controls

  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("seed").addEventListener("change", () => {
    const seed = wholeSeed($("seed"));
    if (seed === null) return say("A seed is a whole number from 0 to 9007199254740991.");
    change({ seed });
  });
  $("previous").addEventListener("click", () => change({ seed: state.seed - state.count }));
  $("next").addEventListener("click", () => change({ seed: state.seed + state.count }));
  $("random").addEventListener("click", () => change({ seed: crypto.getRandomValues(new Uint32Array(1))[0] }));
  $("count").addEventListener("change", () => change({ count: Number($("count").value) }));
  $("class")?.addEventListener("change", () => change({ label: $("class").value === "" ? null : Number($("class").value) }));
  $("psi")?.addEventListener("input", () => change({ psi: Number($("psi").value) }));
  addEventListener("hashchange", () => {
    read();
    change({});
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the state of the page
    $("images").focus();
  });

  function colours(now) {
    $("theme").textContent = now === "dark" ? "Light colours" : "Dark colours";
  }
  const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
    colours(theme());
  });
  dark.addEventListener("change", () => colours(theme()));

  // ---- begin

  colours(theme());
  pause();
  read();
  reflect();
  const packed = typeof transganFiles === "object" ? transganFiles : {};
  const opened = transganEngine.open(facts, packed).then((made) => {
    packed.model = packed.wasm = null; // they have been unpacked
    engine = made;
    redraw();
  });
  opened.catch(fail);

  // For other scripts: ready resolves when images can be made.
  window.transgan = {
    facts,
    ready: opened,
    latents: (seeds) => engine.latents(seeds),
    labels: (seeds) => engine.labels(seeds),
    draw: async (latents, labels, psi = 1) => {
      await opened;
      return engine.draw(latents, labels, psi);
    },
  };
})();
