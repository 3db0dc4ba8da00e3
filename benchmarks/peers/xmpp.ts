import { mkdir, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createStage, freePort, versionOf } from './processes.ts'

const PASSWORD = 'correct horse battery'
const ROOM = 'room@conference.localhost'
const DEADLINE_MS = 30_000
const STREAM = `<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>`

export const prosodyVersion = (): Promise<string> => versionOf('dpkg-query', '-W', 'prosody')

/** Debian's prosody on loopback, without encryption, with rooms whose history it keeps. */
export async function openProsody() {
  const stage = await createStage()
  try {
    const port = await freePort()
    const data = join(stage.folder, 'data')
    await mkdir(data)
    const config = join(stage.folder, 'prosody.cfg.lua')
    await writeFile(
      config,
      `daemonize = false
run_as_root = true
pidfile = "${stage.folder}/prosody.pid"
data_path = "${data}"
modules_enabled = { "saslauth", "roster", "disco", "ping", "register_ibr" }
modules_disabled = { "s2s", "offline" }
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
c2s_ports = { ${port} }
c2s_interfaces = { "127.0.0.1" }
log = { error = "${stage.folder}/error.log" }
VirtualHost "localhost"
Component "conference.localhost" "muc"
  modules_enabled = { "muc_mam" }
  muc_room_locking = false
`
    )
    const { pid } = await stage.server('prosody', ['--config', config, '-F'], port)
    return {
      pid: pid!,
      connect: (user: string) => Xmpp.open(port, user),
      [Symbol.asyncDispose]: () => stage.stop()
    }
  } catch (error) {
    await stage.stop()
    throw error
  }
}
export type Prosody = Awaited<ReturnType<typeof openProsody>>

/** A client of XMPP (RFC 6120, 6121, XEP-0045, XEP-0077) that says and hears as much as a bench needs. */
export class Xmpp {
  readonly #socket: Socket
  readonly #user: string
  #said = ''
  #waiting: { text: string; done: PromiseWithResolvers<void> } | undefined
  /** hears the body of each message of the room */
  heard: (body: string) => void = () => {}

  private constructor(socket: Socket, user: string) {
    this.#socket = socket
    this.#user = user
    socket.setEncoding('utf8').setNoDelay(true)
    socket.on('data', (text: string) => this.#take(text))
    socket.on('close', () => this.#waiting?.done.reject(new Error('prosody closed the connection')))
    socket.on('error', error => this.#waiting?.done.reject(error))
  }

  static async open(port: number, user: string): Promise<Xmpp> {
    const client = new Xmpp(connect(port, '127.0.0.1'), user)
    await client.#ask(STREAM, '</stream:features>')
    return client
  }

  /** Makes the account; once. */
  register(): Promise<void> {
    return this.#ask(
      `<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>${this.#user}</username><password>${PASSWORD}</password></query></iq>`,
      "type='result'"
    )
  }

  async signIn(): Promise<void> {
    const plain = Buffer.from(`\0${this.#user}\0${PASSWORD}`).toString('base64')
    await this.#ask(
      `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`,
      '<success'
    )
    await this.#ask(STREAM, '</stream:features>')
    await this.#ask(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`, '</jid>')
  }

  /** Is in the room from now on. */
  enter(): Promise<void> {
    return this.#ask(
      `<presence/><presence to='${ROOM}/${this.#user}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>`,
      "code='110'"
    )
  }

  /** `text` without markup. */
  say(text: string): void {
    this.#socket.write(`<message type='groupchat' to='${ROOM}'><body>${text}</body></message>`)
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  /** Sends, and waits until the answer has this. */
  async #ask(text: string, until: string): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#said = ''
    this.#waiting = { text: until, done }
    this.#socket.write(text)
    const timer = setTimeout(
      () => done.reject(new Error(`prosody did not say ${until}, but ${this.#said.slice(-300)}`)),
      DEADLINE_MS
    )
    try {
      await done.promise
    } finally {
      clearTimeout(timer)
      this.#waiting = undefined
      this.#said = ''
    }
  }

  #take(text: string): void {
    this.#said += text
    if (this.#waiting !== undefined) {
      if (this.#said.includes(this.#waiting.text)) this.#waiting.done.resolve()
      return
    }
    // a stanza of the room ends with this, and its text holds no markup
    for (;;) {
      const end = this.#said.indexOf('</message>')
      if (end < 0) return
      const stanza = this.#said.slice(0, end)
      this.#said = this.#said.slice(end + '</message>'.length)
      const body = /<body>([^<]*)<\/body>/.exec(stanza)?.[1]
      if (body !== undefined) this.heard(body)
    }
  }
}
