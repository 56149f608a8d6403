// A PNG file that says how its images were made, in the chunks that transgan/provenance.py writes.
const transganPng = (() => {
  const table = new Uint32Array(256).map((_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
  });
  const crc = (bytes) => {
    let found = 0xffffffff;
    for (const byte of bytes) found = table[(found ^ byte) & 255] ^ (found >>> 8);
    return (found ^ 0xffffffff) >>> 0;
  };
  const text = new TextEncoder();

  function chunk(type, ...parts) {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const bytes = new Uint8Array(12 + size);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, size);
    bytes.set(text.encode(type), 4);
    let at = 8;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    view.setUint32(at, crc(bytes.subarray(4, at)));
    return bytes;
  }
  // Latin-1; what it lacks becomes a question mark.
  const latin = (string) => Uint8Array.from(string, (sign) => (sign.codePointAt(0) < 256 ? sign.codePointAt(0) : 63));
  const plain = (keyword, value) => chunk("tEXt", latin(`${keyword}\0${value}`));
  const international = (keyword, value) => chunk("iTXt", latin(keyword), new Uint8Array(5), text.encode(value));

  // The bytes of a PNG with {Software, Description, xmp, facts} behind its header.
  function telling(bytes, { software, description, xmp, facts }) {
    const added = [
      plain("Software", software), plain("Description", description), international("transgan", JSON.stringify(facts)),
      international("XML:com.adobe.xmp", xmp),
    ];
    const header = 8 + 25; // the signature, and IHDR
    const found = new Uint8Array(bytes.length + added.reduce((sum, each) => sum + each.length, 0));
    found.set(bytes.subarray(0, header));
    let at = header;
    for (const each of added) {
      found.set(each, at);
      at += each.length;
    }
    found.set(bytes.subarray(header), at);
    return found;
  }
  return { telling };
})();
