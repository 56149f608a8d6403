// Runs the model: unpacks what the page carries, and makes images of latents.
const transganEngine = (() => {
  // base64 of gzip -> bytes
  async function unpacked(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // facts of the model; packed = {model, wasm}, each base64 of gzip -> {latents, labels, draw}
  async function open(facts, packed) {
    if (typeof WebAssembly !== "object") {
      throw new Error("This browser has no WebAssembly, or has it turned off. Any current browser has it.");
    }
    if (typeof DecompressionStream !== "function") {
      throw new Error("This browser is too old to unpack the model. A browser of 2023 or later can.");
    }
    if (!packed.wasm || !packed.model || typeof ort !== "object") {
      throw new Error("runtime.js or model.js is missing: keep them in the same folder as this page.");
    }
    ort.env.wasm.numThreads = 1; // pages opened as files have no shared memory for more
    ort.env.wasm.proxy = false;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = await unpacked(packed.wasm);
    const model = await unpacked(packed.model);
    const session = await ort.InferenceSession.create(model, {
      executionProviders: ["wasm"], graphOptimizationLevel: "all",
    });
    delete ort.env.wasm.wasmBinary;
    const size = facts.latent_dim;
    const classes = facts.num_classes;
    let queue = Promise.resolve(); // one call at a time, as the runtime has it
    let atOnce = 1; // images of one call, so many that a call takes about a tenth of a second

    async function call(latents, labels, psi) {
      const count = latents.length;
      const numbers = new Float32Array(count * size);
      latents.forEach((latent, i) => numbers.set(latent, i * size));
      const feeds = { latent: new ort.Tensor("float32", numbers, [count, size]) };
      if (classes) feeds.label = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [count]);
      if (facts.has_psi) feeds.psi = new ort.Tensor("float32", Float32Array.of(psi), []);
      const { images } = await session.run(feeds, ["images"]);
      return { data: images.data, dims: Array.from(images.dims) };
    }

    // latents: Float32Array of latent_dim each; labels: one whole number each, if there are classes.
    // onPart(first, {data, dims}) is called with images as they are ready, and stops the rest by returning false.
    // -> {data: Uint8Array, dims: [N, C, H, W], milliseconds: spent on them}
    async function make(latents, labels = [], psi = 1, onPart = () => true) {
      if (!latents.length) throw new Error("There are no latents to make images of.");
      if (latents.some((latent) => latent.length !== size)) throw new Error(`A latent has ${size} numbers.`);
      if (classes && labels.length !== latents.length) throw new Error("Every latent needs the number of its class.");
      if (labels.some((label) => !(Number.isInteger(label) && label >= 0 && label < classes))) {
        throw new Error(classes ? `Classes are numbered from 0 to ${classes - 1}.` : "This model has no classes.");
      }
      let data = null;
      let dims = null;
      let milliseconds = 0;
      let done = 0;
      while (done < latents.length) {
        const until = Math.min(done + atOnce, latents.length);
        const begun = performance.now();
        const part = await call(latents.slice(done, until), labels.slice(done, until), psi);
        const spent = performance.now() - begun;
        milliseconds += spent;
        const [, channels, height, width] = part.dims;
        data ??= new Uint8Array(latents.length * channels * height * width);
        dims = [latents.length, channels, height, width];
        data.set(part.data, done * channels * height * width);
        const first = done;
        done = until;
        if (until - first === atOnce) {
          atOnce = Math.max(1, Math.min(16, 2 * atOnce, Math.floor((100 * atOnce) / Math.max(spent, 1))));
        }
        if (onPart(first, part) === false) return null;
        if (done < latents.length) await new Promise((resolve) => setTimeout(resolve)); // lets the page show it
      }
      return { data, dims, milliseconds };
    }

    function draw(...given) {
      const result = queue.then(() => make(...given));
      queue = result.catch(() => {});
      return result;
    }

    return {
      latents: (seeds) => Array.from(seeds, (seed) => transganRandom.randn(seed, size)),
      labels: (seeds) => (classes ? Array.from(seeds, (seed) => transganRandom.label(seed, classes)) : []),
      draw,
    };
  }

  // Between two latents on the sphere (Shoemake, 1985), t from 0 to 1 -> Float32Array
  function slerp(a, b, t) {
    let [dot, aa, bb] = [0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    const omega = Math.acos(Math.max(-1, Math.min(1, dot / Math.sqrt(aa * bb))));
    const sine = Math.sin(omega);
    const [u, v] = sine < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * omega) / sine, Math.sin(t * omega) / sine];
    return a.map((x, i) => u * x + v * b[i]);
  }

  return { open, slerp };
})();
