// Profiles to upload bodies of 1000 records in node; the rows are objects already. Prints ns a row, the best of five.
const rows = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));

function encode() {
  let bytes = 0;
  for (let start = 0; start < rows.length; start += 1000) {
    const d = rows.slice(start, start + 1000).map(({ identity, ...profileData }) => ({ type: "profile", identity, profileData }));
    bytes += Buffer.byteLength(JSON.stringify({ d }));
  }
  return bytes;
}

let best = Infinity;
for (let round = 0; round < 5; round++) {
  const begun = process.hrtime.bigint();
  encode();
  best = Math.min(best, Number(process.hrtime.bigint() - begun));
}
console.log(`${"node map + JSON.stringify + byteLength".padEnd(44)} ${(best / rows.length).toFixed(0).padStart(10)} ns/row`);
