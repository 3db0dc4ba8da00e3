import { randomInt, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { Capabilities } from '../../../host/index.ts'
import { AssistantError, badRequest } from '../../errors.ts'
import type { Reply, Send } from '../../provider/send.ts'
import { type ChatQuestion, chatQuestion } from './chat-question.ts'
import { atWorkers, openHere, type Place, startText } from './decoder.ts'
import { growingText } from './growing-text.ts'
import { type ChatModel, readModelFiles, readWeights, type Weights } from './model-files.ts'
import { chance, sample } from './sample.ts'

/** Of one answer, with the start of its process. */
const ANSWER_MS = 10 * 60_000
/** tokenizers that are kept in memory */
const MODELS = 2

type Told = { piece: string } | { finish: 'stop' | 'length'; output: number }

const noSuch = (code: string, message: string): AssistantError =>
  new AssistantError(503, 'api_error', code, message)

/**
 * Chat by a decoder that the owner has put on the disk of this node: each answer is a session behind the walls, which nobody
 * else's question meets, or, of the kind `network`, a row of jobs, one for each token.
 *
 * @param wanted what of it runs at this moment
 * @param folder has a folder for each model
 */
export function createLocalChat(
  wanted: () => Partial<Pick<Capabilities, 'sandbox' | 'jobs' | 'scheduler'>>,
  folder: string
): Send {
  const lending = new Map<string, { answers: number; bytes: Promise<Uint8Array> }>()
  const shared = new WeakMap<ChatModel, Promise<string>>()
  const models = new LRUCache<string, Promise<ChatModel>>({ max: MODELS })

  function modelOf(name: string): Promise<ChatModel> {
    const model = models.get(name) ?? readModelFiles(join(folder, name), wanted().scheduler)
    models.set(name, model)
    // the owner may put it right
    model.catch(() => models.delete(name))
    return model
  }

  /** The bytes of a model, which all answers that run at the same time have once. */
  function lend(weights: Weights): Disposable & { bytes: Promise<Uint8Array> } {
    const place = 'cid' in weights ? weights.cid : weights.file
    const lent = lending.get(place) ?? { answers: 0, bytes: readWeights(weights, wanted().scheduler) }
    lent.answers++
    lending.set(place, lent)
    return {
      bytes: lent.bytes,
      [Symbol.dispose]() {
        if (--lent.answers === 0) lending.delete(place)
      }
    }
  }

  /** The CID of the weights, which workers fetch by it. */
  function share(model: ChatModel): Promise<string> {
    const cid = shared.get(model) ?? publish(model)
    shared.set(model, cid)
    // the disk may have room again
    cid.catch(() => shared.delete(model))
    return cid
  }

  async function publish({ weights }: ChatModel): Promise<string> {
    if ('cid' in weights) return weights.cid
    const { scheduler } = wanted()
    if (scheduler == null) throw noSuch('no_jobs', 'there are no jobs on this node')
    using lent = lend(weights)
    return (await scheduler.addData([await lent.bytes])).cid
  }

  async function openBehindWalls(model: Uint8Array, signal: AbortSignal): Promise<Place> {
    const { sandbox } = wanted()
    if (sandbox == null) throw noSuch('no_sandbox', 'there is no sandbox on this node')
    return await openHere(sandbox, model, signal).catch(error => {
      if ((error as Error).name !== 'WallMissingError') throw error
      throw noSuch('no_walls', `a wall is missing: ${(error as Error).message}`)
    })
  }

  /** The answer piece by piece, and how it ended. */
  async function* answer(
    model: ChatModel,
    isOfNetwork: boolean,
    prompt: readonly number[],
    { maxTokens, temperature, topP, seed, stop }: ChatQuestion,
    signal: AbortSignal
  ): AsyncGenerator<Told> {
    using lent = isOfNetwork ? undefined : lend(model.weights)
    const place =
      lent == null
        ? atWorkers(wanted().jobs, await share(model), signal)
        : await openBehindWalls(await lent.bytes, signal)
    const decoder = startText(place, model.shape)
    try {
      const text = growingText(model.decode, [...stop, ...model.stops])
      const random = chance(seed ?? randomInt(2 ** 32))
      let more = prompt
      for (let output = 1; output <= maxTokens; output++) {
        const id = sample(await decoder.next(more), { temperature, topP, random })
        if (model.ends.has(id)) {
          yield { piece: text.rest() }
          return yield { finish: 'stop', output }
        }
        const { piece, hasEnded } = text.add(id)
        if (piece !== '') yield { piece }
        if (hasEnded) return yield { finish: 'stop', output }
        more = [id]
      }
      yield { piece: text.rest() }
      yield { finish: 'length', output: maxTokens }
    } finally {
      await decoder.close()
    }
  }

  return async ({ provider, model: named }, _, body, signal): Promise<Reply> => {
    const { id, upstream, maxOutputTokens } = named
    const question = chatQuestion(body!, maxOutputTokens)
    const model = await modelOf(upstream ?? id)
    const prompt = model.encode(question.messages)
    const room = model.mostTokens - prompt.length
    if (room < 1 || prompt.length === 0)
      throw badRequest(
        `messages: ${prompt.length} tokens, and the model has place for ${model.mostTokens} with the answer`,
        'context_length_exceeded'
      )
    const ending = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const asked = { ...question, maxTokens: Math.min(question.maxTokens, room) }
    const told = answer(model, provider.kind === 'network', prompt, asked, ending)
    const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: id }
    const usageOf = (output: number) => ({
      prompt_tokens: prompt.length,
      completion_tokens: output,
      total_tokens: prompt.length + output
    })

    async function* events(first: IteratorResult<Told>): AsyncGenerator<string, boolean> {
      const chunk = (more: object): string =>
        JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], ...more })
      const choice = (delta: object, finish_reason: string | null = null): string =>
        chunk({ choices: [{ index: 0, delta, finish_reason }] })
      try {
        yield choice({ role: 'assistant', content: '' })
        for (let next = first; next.done !== true; next = await told.next()) {
          if ('piece' in next.value) yield choice({ content: next.value.piece })
          else {
            yield choice({}, next.value.finish)
            yield chunk({ usage: usageOf(next.value.output) })
          }
        }
        return true
      } finally {
        await told.return(undefined)
      }
    }

    // what fails before it begins is a failed try
    if (body!.stream === true) return { events: events(await told.next()) }
    let content = ''
    for await (const each of told) {
      if ('piece' in each) content += each.piece
      else
        return {
          whole: {
            ...head,
            object: 'chat.completion',
            choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: each.finish }],
            usage: usageOf(each.output)
          }
        }
    }
    throw new Error('an answer has ended without its end')
  }
}
