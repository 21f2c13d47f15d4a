/**
 * A font that looks the same everywhere: each character is an em wide and shows the last four bits of its number as four
 * squares over a line. Pictures drawn with it hang on no font of the machine, and still tell one text from another.
 */
export function patternFont(): Buffer {
  const glyphs = Array.from({ length: GLYPHS }, (_, i) => glyphOf(i))
  const offsets = glyphs.reduce<number[]>((sums, glyph) => [...sums, sums.at(-1)! + glyph.length], [0])
  const tables: Record<string, Buffer> = {
    'OS/2': os2(),
    cmap: cmap(),
    glyf: Buffer.concat(glyphs),
    head: numbers('IIIIHHQQhhhhHHhhh', [
      [0x00010000, 0x00010000, 0, 0x5f0f3cf5, 0, EM, 0n, 0n],
      [0, 0, EM, EM, 0, 8, 2, 1, 0]
    ]),
    hhea: numbers('IhhhHhhhhhhhhhhhH', [
      [0x00010000, ASCENT, -DESCENT, 0, EM, 0, 0, EM],
      [1, 0, 0, 0, 0, 0, 0, 0, GLYPHS]
    ]),
    hmtx: numbers(
      'Hh'.repeat(GLYPHS),
      Array.from({ length: GLYPHS }, () => [EM, 64])
    ),
    loca: numbers('I'.repeat(offsets.length), [offsets]),
    maxp: numbers('I' + 'H'.repeat(14), [[0x00010000, GLYPHS, 20, 5, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]]),
    name: name('Pattern'),
    post: numbers('IIhhIIIII', [[0x00030000, 0, 0, 0, 0, 0, 0, 0, 0]])
  }
  return fontFile(tables)
}

const EM = 1024
const ASCENT = 896
const DESCENT = 128
/** One for what is nowhere, and one for each of the patterns. */
const GLYPHS = 17
const PLANES_END = 0x20000

type Format = 'H' | 'h' | 'I' | 'Q'
const SIZES: Record<Format, number> = { H: 2, h: 2, I: 4, Q: 8 }

/** Numbers in big-endian order, each as its letter says. */
function numbers(formats: string, values: (number | bigint)[][]): Buffer {
  const flat = values.flat()
  const letters = [...formats] as Format[]
  const out = Buffer.alloc(letters.reduce((sum, letter) => sum + SIZES[letter], 0))
  let at = 0
  for (const [i, letter] of letters.entries()) {
    const value = flat[i]!
    if (letter === 'H') out.writeUInt16BE(Number(value), at)
    else if (letter === 'h') out.writeInt16BE(Number(value), at)
    else if (letter === 'I') out.writeUInt32BE(Number(value), at)
    else out.writeBigInt64BE(BigInt(value), at)
    at += SIZES[letter]
  }
  return out
}

/** A glyph's rectangles: the line, and a square for each bit that is set. */
function glyphOf(index: number): Buffer {
  const bits = index - 1
  const boxes: [number, number, number, number][] = [[64, 0, 960, 64]]
  for (let bit = 0; bit < 4 && index > 0; bit++) {
    if ((bits & (1 << bit)) === 0) continue
    const [left, bottom] = [64 + 448 * (bit % 2), 128 + 384 * Math.floor(bit / 2)]
    boxes.push([left, bottom, left + 384, bottom + 320])
  }
  const points = boxes.flatMap(([left, bottom, right, top]) => [
    [left, bottom],
    [left, top],
    [right, top],
    [right, bottom]
  ])
  const header = numbers('hhhhh' + 'H'.repeat(boxes.length) + 'H', [
    [boxes.length, 64, 0, 960, Math.max(...boxes.map(([, , , top]) => top))],
    boxes.map((_, i) => 4 * i + 3),
    [0]
  ])
  const flags = Buffer.alloc(points.length, 1) // on the curve, both steps written out
  const steps = [0, 1].flatMap((axis) => points.map((point, i) => point[axis]! - (points[i - 1]?.[axis] ?? 0)))
  const glyph = Buffer.concat([header, flags, numbers('h'.repeat(steps.length), [steps])])
  return Buffer.concat([glyph, Buffer.alloc(-glyph.length & 3)])
}

/** Every character, sixteen in a row, to the sixteen patterns. */
function cmap(): Buffer {
  const rows = Array.from({ length: PLANES_END / 16 }, (_, i) => [16 * i, 16 * i + 15, 1]).filter(
    ([first]) => first !== 0
  )
  const table = Buffer.concat([
    numbers('HHIII', [[12, 0, 16 + 12 * rows.length, 0, rows.length]]),
    numbers('III'.repeat(rows.length), rows)
  ])
  return Buffer.concat([numbers('HHHHI', [[0, 1, 3, 10, 12]]), table])
}

function name(family: string): Buffer {
  const texts = [family, 'Regular', family, family, 'Version 1', family]
  const ids = [1, 2, 3, 4, 5, 6]
  const encoded = texts.map((text) => Buffer.from(text, 'utf16le').swap16())
  let at = 0
  const records = encoded.map((text, i) => {
    const record = [3, 1, 0x409, ids[i]!, text.length, at]
    at += text.length
    return record
  })
  return Buffer.concat([
    numbers('HHH', [[0, ids.length, 6 + 12 * ids.length]]),
    numbers('HHHHHH'.repeat(ids.length), records),
    ...encoded
  ])
}

const os2 = () =>
  numbers('HhHHHhhhhhhhhhhh' + 'H'.repeat(5) + 'IIII' + 'I' + 'HHH' + 'hhh' + 'HH' + 'II' + 'hhHHH', [
    [4, EM, 400, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
    [1, 0, 0, 0],
    [0x484f4e47],
    [0x40, 0x20, 0xffff],
    [ASCENT, -DESCENT, 0],
    [ASCENT, DESCENT],
    [1, 0],
    [512, 768, 0, 0x20, 1]
  ])

/** The tables behind their directory, each on a boundary of four bytes and with its sum. */
function fontFile(tables: Record<string, Buffer>): Buffer {
  const names = Object.keys(tables).sort()
  const power = 2 ** Math.floor(Math.log2(names.length))
  let at = 12 + 16 * names.length
  const bodies: Buffer[] = []
  const directory = names.map((tag) => {
    const body = Buffer.concat([tables[tag]!, Buffer.alloc(-tables[tag]!.length & 3)])
    const entry = Buffer.concat([Buffer.from(tag, 'latin1'), numbers('III', [[sumOf(body), at, tables[tag]!.length]])])
    at += body.length
    bodies.push(body)
    return entry
  })
  const head = [names.length, 16 * power, Math.log2(power), 16 * (names.length - power)]
  const file = Buffer.concat([numbers('IHHHH', [[0x00010000], head]), ...directory, ...bodies])
  const headAt = 12 + 16 * names.length + bodies.slice(0, names.indexOf('head')).reduce((n, each) => n + each.length, 0)
  file.writeUInt32BE((0xb1b0afba - sumOf(file)) >>> 0, headAt + 8)
  return file
}

function sumOf(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum = (sum + bytes.readUInt32BE(at)) >>> 0
  return sum
}
