import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeModel, type OnnxModel, type OnnxTensor } from '../../scheduler/onnx-model.ts'

/* Decoders with known answers, whose tokens are bytes. */

/** the token that ends an answer */
export const END = 256
const TOKENS = 257
const INT64 = 7

/** GPT-2's letters for bytes (openai/gpt-2, src/encoder.py). */
function letters(): string[] {
  const isShown = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173)
  let hidden = 0
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isShown(byte) ? byte : 256 + hidden++))
}

const tokenizer = {
  version: '1.0',
  added_tokens: [
    {
      id: END,
      content: '<end>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true
    }
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    vocab: Object.fromEntries(letters().map((letter, byte) => [letter, byte])),
    merges: []
  }
}

/** Files as Optimum writes them. */
export async function writeModel(
  folder: string,
  model: OnnxModel,
  { settings = {}, config = {} }: { settings?: object; config?: object } = {}
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const files = {
    'model.onnx': encodeModel(model),
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify({ eos_token: '<end>', ...settings }),
    'config.json': JSON.stringify(config)
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
}

/** For each token the likeliest next ones, all alike. */
function table(next: (token: number) => readonly number[]): OnnxTensor {
  const data = new Float32Array(TOKENS * TOKENS).fill(-100)
  for (let token = 0; token < TOKENS; token++) for (const each of next(token)) data[token * TOKENS + each] = 0
  return { dims: [TOKENS, TOKENS], data }
}

const ids = (name: string, size: string) => ({ name, dims: ['batch', size], type: INT64 })
const numbers = (...values: number[]): OnnxTensor => ({
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt)
})

/** Each token by the one before it alone. */
export const bigrams = (next: (token: number) => readonly number[]): OnnxModel => ({
  inputs: [ids('input_ids', 'sequence')],
  outputs: ['logits'],
  nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['logits'] }],
  tensors: { table: table(next) }
})

/** The next token hangs on the sum of all before it, which come again as its past, of the mask, and of the newest positions. */
export const sums = (next: (sum: number) => number): OnnxModel => ({
  inputs: [
    ids('input_ids', 'sequence'),
    ids('attention_mask', 'all'),
    ids('position_ids', 'sequence'),
    { name: 'past_key_values.0.key', dims: ['batch', 1, 'past', 1] }
  ],
  outputs: ['logits', 'present.0.key'],
  nodes: [
    { op: 'Cast', inputs: ['input_ids'], outputs: ['floats'], attributes: { to: 1 } },
    { op: 'Unsqueeze', inputs: ['floats', 'ends'], outputs: ['newest'] },
    {
      op: 'Concat',
      inputs: ['past_key_values.0.key', 'newest'],
      outputs: ['present.0.key'],
      attributes: { axis: 2 }
    },
    { op: 'ReduceSum', inputs: ['present.0.key'], outputs: ['said'], attributes: { keepdims: 0 } },
    { op: 'Cast', inputs: ['said'], outputs: ['sum of ids'], attributes: { to: INT64 } },
    { op: 'ReduceSum', inputs: ['attention_mask'], outputs: ['sum of mask'], attributes: { keepdims: 0 } },
    { op: 'ReduceSum', inputs: ['position_ids'], outputs: ['sum of places'], attributes: { keepdims: 0 } },
    { op: 'Add', inputs: ['sum of ids', 'sum of mask'], outputs: ['two'] },
    { op: 'Add', inputs: ['two', 'sum of places'], outputs: ['three'] },
    { op: 'Mod', inputs: ['three', 'tokens'], outputs: ['rest'] },
    { op: 'Gather', inputs: ['table', 'rest'], outputs: ['row'] },
    { op: 'Unsqueeze', inputs: ['floats', 'last'], outputs: ['column'] },
    { op: 'Mul', inputs: ['column', 'zero'], outputs: ['nothing'] },
    // the same row for each place
    { op: 'Add', inputs: ['nothing', 'row'], outputs: ['logits'] }
  ],
  tensors: {
    table: table(token => [next(token)]),
    ends: numbers(1, 3),
    last: numbers(2),
    tokens: numbers(TOKENS),
    zero: { dims: [1], data: Float32Array.of(0) }
  }
})

/** What it answers to a text, of so many letters. */
export function sumsAnswer(prompt: string, next: (sum: number) => number, letters: number): string {
  const tokens = [...Buffer.from(prompt)]
  let places = (tokens.length * (tokens.length - 1)) / 2
  for (let i = 0; i < letters; i++) {
    const sum = tokens.reduce((a, b) => a + b, 0) + tokens.length + places
    places = tokens.length
    tokens.push(next(sum % TOKENS))
  }
  return Buffer.from(tokens.slice(-letters)).toString()
}
