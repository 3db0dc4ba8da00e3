import type { Key } from '../i18n/en.ts'

export interface Example {
  id: string
  title: Key
  text: Key
  code: string
}

/** What a newcomer can run at once, from small to larger; each shows another kind of result. */
export const EXAMPLES: Example[] = [
  {
    id: 'squares',
    title: 'example.squares',
    text: 'example.squaresText',
    code: `{
  name: 'Sum of squares',
  type: 'range_reduce',
  start: 1,
  end: 1_000_000,
  map: x => x * x,
  operation: 'sum'
}
`
  },
  {
    id: 'primes',
    title: 'example.primes',
    text: 'example.primesText',
    code: `// partial is faster than map: it takes a whole piece of the range
{
  name: 'Primes up to 20 million',
  type: 'range_reduce',
  start: 1,
  end: 20_000_000,
  operation: 'sum',
  partial: (start, end) => {
    const root = Math.floor(Math.sqrt(end))
    const small = new Uint8Array(root + 1)
    const marks = new Uint8Array(end - start + 1)
    for (let p = 2; p <= root; p++) {
      if (small[p]) continue
      for (let m = p * p; m <= root; m += p) small[m] = 1
      for (let m = Math.max(p * p, Math.ceil(start / p) * p); m <= end; m += p) marks[m - start] = 1
    }
    let count = 0
    for (let n = Math.max(2, start); n <= end; n++) if (!marks[n - start]) count++
    return count
  }
}
`
  },
  {
    id: 'mandelbrot',
    title: 'example.mandelbrot',
    text: 'example.mandelbrotText',
    code: `// one row of pixels (RGBA) per number of the range; what stands in context is a variable
{
  name: 'Mandelbrot set',
  type: 'map',
  range: { start: 0, end: 299 },
  context: { width: 480, height: 300, depth: 300 },
  fn: y => {
    const row = new Uint8Array(width * 4)
    const ci = (y / height - 0.5) * 2.4
    for (let x = 0; x < width; x++) {
      const cr = (x / width) * 3.6 - 2.5
      let [r, i, n] = [0, 0, 0]
      while (n < depth && r * r + i * i < 4) {
        const next = r * r - i * i + cr
        i = 2 * r * i + ci
        r = next
        n++
      }
      const t = n === depth ? 0 : Math.sqrt(n / depth)
      row.set([t * 90, t * 210, 40 + t * 200, 255], x * 4)
    }
    return row
  }
}
`
  },
  {
    id: 'words',
    title: 'example.words',
    text: 'example.wordsText',
    code: `{
  name: 'Count words',
  type: 'map_reduce',
  items: [
    'many hands make light work',
    'work expands to fill the time',
    'many a little makes a mickle',
    'light comes from the east'
  ],
  map: line => line.split(' ').map(word => [word, 1]),
  reduce: 'sum'
}
`
  },
  {
    id: 'wave',
    title: 'example.wave',
    text: 'example.waveText',
    code: `{
  name: 'Two waves',
  type: 'map',
  range: { start: 0, end: 399 },
  fn: x => Math.sin(x / 15) + Math.sin(x / 17)
}
`
  },
  {
    id: 'collatz',
    title: 'example.collatz',
    text: 'example.collatzText',
    code: `{
  name: 'Collatz paths',
  type: 'map',
  range: { start: 1, end: 60 },
  fn: start => {
    let [n, steps, top] = [start, 0, start]
    while (n !== 1) {
      n = n % 2 === 0 ? n / 2 : 3 * n + 1
      top = Math.max(top, n)
      steps++
    }
    return { start, steps, top }
  }
}
`
  },
  {
    id: 'python',
    title: 'example.python',
    text: 'example.pythonText',
    code: `{
  name: 'Partitions of a number',
  type: 'python',
  range: { start: 10, end: 400, step: 10 },
  source: \`
def main(n):
    ways = [1] + [0] * n
    for part in range(1, n + 1):
        for total in range(part, n + 1):
            ways[total] += ways[total - part]
    return {'n': n, 'partitions': ways[n]}
\`
}
`
  },
  {
    id: 'training',
    title: 'example.training',
    text: 'example.trainingText',
    code: `{
  name: 'Learn XOR',
  type: 'ml_train_step',
  model: { layers: [{ units: 8, activation: 'tanh' }, { units: 1, activation: 'sigmoid' }] },
  data: {
    x: { rows: 4, cols: 2, data: [0, 0, 0, 1, 1, 0, 1, 1] },
    y: { rows: 4, cols: 1, data: [0, 1, 1, 0] }
  },
  loss: 'mse',
  optimizer: 'adam',
  learningRate: 0.05,
  epochs: 60
}
`
  },
  {
    id: 'model',
    title: 'example.model',
    text: 'example.modelText',
    code: `// an ONNX model, as base64 or { cid }; per flower how likely it is a setosa, a versicolor, a virginica
{
  name: 'Which iris is it?',
  type: 'ml_inference',
  model:
    'CAg64gEKIgoCY20KAXcKAWISAXoiBEdlbW0qDQoGdHJhbnNCGAGgAQIKIgoBehIHc3BlY2llcyIHU29m' +
    'dG1heCoLCgRheGlzGAGgAQISBWdyYXBoKjsIAwgEEAFCAXdKMMe62L75oHc/KxghwIEmir/+1Ag/waik' +
    'voZaU76KsHG/07zjvZhMJb92Ty5AY38BQCoVCAMQAUIBYkoMJJcdQUkuD0C3YkHBWhsKAmNtEhUKEwgB' +
    'Eg8KCRIHZmxvd2VycwoCCARiIAoHc3BlY2llcxIVChMIARIPCgkSB2Zsb3dlcnMKAggDQgQKABAN',
  input: { dims: [3, 4], data: [5.1, 3.5, 1.4, 0.2, 7.0, 3.2, 4.7, 1.4, 6.3, 3.3, 6.0, 2.5] }
}
`
  },
  {
    id: 'poker',
    title: 'example.poker',
    text: 'example.pokerText',
    code: `// every hand of five cards, none written down; card 4 · rank + suit
{
  name: 'Pairs in poker hands',
  type: 'enumerate',
  space: { type: 'combinations', n: 52, k: 5 },
  evaluate: hand => {
    let ranks = 0
    for (const card of hand) ranks |= 1 << (card >> 2)
    let different = 0
    for (; ranks > 0; ranks >>= 1) different += ranks & 1
    return different
  },
  aggregate: 'histogram'
}
`
  },
  {
    id: 'tabs',
    title: 'example.tabs',
    text: 'example.tabsText',
    code: `// for lent tabs only (Lend this tab); without the line of requirements whoever is there takes part
{
  name: 'Perfect numbers up to 20,000',
  type: 'range_reduce',
  start: 1,
  end: 20_000,
  requirements: { tags: ['browser'] },
  map: n => {
    let sum = 0
    for (let divisor = 1; divisor < n; divisor++) if (n % divisor === 0) sum += divisor
    return sum === n ? 1 : 0
  },
  operation: 'sum',
  deadline: 300_000
}
`
  },
  {
    id: 'failure',
    title: 'example.failure',
    text: 'example.failureText',
    code: `{
  name: 'Stumbles at 13',
  type: 'map',
  range: { start: 1, end: 20 },
  fn: x => {
    if (x === 13) throw new Error('unlucky ' + x)
    return x
  }
}
`
  }
]
