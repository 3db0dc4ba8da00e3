import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'
import type { Capabilities } from '../../../host/index.ts'
import { badModel, badRequest } from '../../errors.ts'
import type { Said } from './chat-question.ts'
import { type Shape, shapeOf } from './decoder.ts'

/** Data of the network by its CID, or a file. */
export type Weights = { cid: string } | { file: string }
export type DataStore = Pick<Capabilities['scheduler'], 'addData' | 'data'>

/** A decoder of the owner, of the files that Hugging Face's Optimum writes. */
export interface ChatModel {
  weights: Weights
  shape: Shape
  /** of what was said, with the beginning of the answer */
  encode(messages: readonly Said[]): number[]
  decode(ids: number[]): string
  /** tokens that end an answer */
  ends: ReadonlySet<number>
  /** texts that do, where the model has no template of its own */
  stops: readonly string[]
  /** tokens of question and answer together */
  mostTokens: number
}

const MAX_JSON_BYTES = 64 * 1024 * 1024
/** within the walls it has the rest of 2 GiB for its numbers */
const MAX_MODEL_BYTES = 1024 * 1024 * 1024

/**
 * Reads `model.onnx`, or what `model.cid` names, and `tokenizer.json`, and as far as they are there `tokenizer_config.json` (chat_template, eos_token) and
 * `config.json` (eos_token_id, context).
 *
 * @throws {AssistantError} a file is missing or is no such thing
 */
export async function readModelFiles(folder: string, store: DataStore | undefined): Promise<ChatModel> {
  const weights = await weightsIn(folder)
  const json = async (name: string, isNeeded = false): Promise<Record<string, unknown> | undefined> => {
    try {
      if ((await stat(join(folder, name))).size > MAX_JSON_BYTES) throw badModel(`${name} is too large`)
      return JSON.parse(await readFile(join(folder, name), 'utf8'))
    } catch (error) {
      if (!isNeeded && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw badModel(`${name}: ${(error as Error).message}`)
    }
  }
  const [tokens, settings = {}, config = {}] = await Promise.all([
    json('tokenizer.json', true),
    json('tokenizer_config.json'),
    json('config.json')
  ])
  const tokenizer = new Tokenizer(tokens!, settings)
  const { chat_template, eos_token, bos_token } = settings
  const textOf = (token: unknown): string =>
    typeof token === 'string' ? token : String((token as { content?: unknown } | undefined)?.content ?? '')
  const eos = tokenizer.token_to_id(textOf(eos_token))
  const template = typeof chat_template === 'string' ? new Template(chat_template) : undefined
  const special = { bos_token: textOf(bos_token), eos_token: textOf(eos_token) }
  const most = [config.max_position_embeddings, config.n_positions].find(each => Number.isSafeInteger(each))
  return {
    weights,
    shape: shapeOf(await readWeights(weights, store)),
    encode(messages) {
      const text =
        template == null
          ? `${messages.map(({ role, content }) => `${role}: ${content}\n`).join('')}assistant:`
          : render(template, { messages, add_generation_prompt: true, ...special })
      return tokenizer.encode(text, { add_special_tokens: template == null }).ids
    },
    decode: ids => tokenizer.decode(ids, { skip_special_tokens: true }),
    ends: new Set([config.eos_token_id, eos].flat().filter(id => typeof id === 'number')),
    stops: template == null ? ['\nuser:', '\nsystem:'] : [],
    mostTokens: (most as number | undefined) ?? Number.MAX_SAFE_INTEGER
  }
}

/** @throws {AssistantError} the template takes no such messages, as two of one role after each other */
function render(template: Template, values: Record<string, unknown>): string {
  try {
    return template.render(values)
  } catch (error) {
    throw badRequest(`messages: the template of the model says: ${(error as Error).message.slice(0, 200)}`)
  }
}

async function weightsIn(folder: string): Promise<Weights> {
  try {
    return { cid: (await readFile(join(folder, 'model.cid'), 'utf8')).trim() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw badModel(`model.cid: ${(error as Error).message}`)
    return { file: join(folder, 'model.onnx') }
  }
}

/** @throws {AssistantError} */
export async function readWeights(weights: Weights, store: DataStore | undefined): Promise<Uint8Array> {
  try {
    if ('file' in weights) {
      expectSize((await stat(weights.file)).size)
      return new Uint8Array(await readFile(weights.file))
    }
    if (store == null) throw new Error('there is no data by CID on this node')
    const { size, chunks } = await store.data(weights.cid)
    expectSize(size)
    return new Uint8Array(Buffer.concat(await Array.fromAsync(chunks)))
  } catch (error) {
    throw badModel(`${'file' in weights ? 'model.onnx' : 'model.cid'}: ${(error as Error).message}`)
  }
}

function expectSize(bytes: number): void {
  if (bytes > MAX_MODEL_BYTES) throw new RangeError(`more than ${MAX_MODEL_BYTES} bytes`)
}
