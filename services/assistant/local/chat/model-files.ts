import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'
import { badModel, badRequest } from '../../errors.ts'
import type { Said } from './chat-question.ts'
import { type Shape, shapeOf } from './decoder.ts'

/** A decoder of the owner, of the files that Hugging Face's Optimum writes. */
export interface ChatModel {
  file: string
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
 * Reads `model.onnx` and `tokenizer.json`, and as far as they are there `tokenizer_config.json` (chat_template, eos_token) and
 * `config.json` (eos_token_id, context).
 *
 * @throws {AssistantError} a file is missing or is no such thing
 */
export async function readModelFiles(folder: string): Promise<ChatModel> {
  const file = join(folder, 'model.onnx')
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
    file,
    shape: shapeOf(await readModelBytes(file)),
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

/** @throws {AssistantError} */
export async function readModelBytes(file: string): Promise<Uint8Array> {
  try {
    if ((await stat(file)).size > MAX_MODEL_BYTES)
      throw badModel(`model.onnx has more than ${MAX_MODEL_BYTES} bytes`)
    return new Uint8Array(await readFile(file))
  } catch (error) {
    throw badModel(`model.onnx: ${(error as Error).message}`)
  }
}
