// The numbers that PyTorch and transgan make of a seed, so that a seed is the same image here and there.
const transganRandom = (() => {
  // mt19937 (Matsumoto and Nishimura, 1998) as in ATen: of the seed, the lower 32 bits count.
  function twister(seed) {
    const state = new Uint32Array(624);
    state[0] = Number(BigInt(seed) & 0xffffffffn);
    for (let i = 1; i < 624; i++) {
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
    let next = 624;
    return () => {
      if (next === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        next = 0;
      }
      let y = state[next++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
  }

  // Fewer than 16 numbers: Box-Muller in float64 from 53 bits each, two numbers at a time.
  function few(random, out) {
    const uniform = () => {
      const high = random();
      const low = random();
      return ((high & 0x1fffff) * 2 ** 32 + low) * 2 ** -53;
    };
    for (let i = 0; i < out.length; i += 2) {
      const theta = 2 * Math.PI * uniform();
      const radius = Math.sqrt(-2 * Math.log1p(-uniform()));
      out[i] = radius * Math.cos(theta);
      if (i + 1 < out.length) out[i + 1] = radius * Math.sin(theta);
    }
  }

  // 16 numbers from 16 uniform ones of 24 bits, rounded to float32 after every step, as PyTorch's vectors are.
  function sixteen(data, at) {
    const f = Math.fround;
    for (let j = at; j < at + 8; j++) {
      const radius = f(Math.sqrt(f(-2 * f(Math.log(f(1 - data[j]))))));
      const theta = f(f(2 * Math.PI) * data[j + 8]);
      data[j] = radius * f(Math.cos(theta));
      data[j + 8] = radius * f(Math.sin(theta));
    }
  }

  // torch.randn(size, generator=torch.Generator().manual_seed(seed)) on the CPU -> Float32Array
  function randn(seed, size) {
    const random = twister(seed);
    const out = new Float32Array(size);
    if (size < 16) {
      few(random, out);
      return out;
    }
    const uniform = () => (random() & 0xffffff) * 2 ** -24;
    for (let i = 0; i < size; i++) out[i] = uniform();
    for (let i = 0; i + 16 <= size; i += 16) sixteen(out, i);
    if (size % 16) { // the last sixteen anew, those that were done already among them
      for (let i = size - 16; i < size; i++) out[i] = uniform();
      sixteen(out, size - 16);
    }
    return out;
  }

  // transgan.sampling.randomness.mix: splitmix64 over each number in turn -> BigInt
  function mix(...numbers) {
    const mask = (1n << 64n) - 1n;
    let state = 0n;
    for (const number of numbers) {
      state = ((state ^ (BigInt(number) & mask)) + 0x9e3779b97f4a7c15n) & mask;
      state = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
      state = ((state ^ (state >> 27n)) * 0x94d049bb133111ebn) & mask;
      state ^= state >> 31n;
    }
    return state >> 1n;
  }

  // The class that a seed shows unless another is chosen.
  const label = (seed, classes) => Number(mix(seed, 1) % BigInt(classes));

  return { randn, mix, label };
})();
