import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import * as wire from '../../access/index.ts'
import { readCookies, writeCookies } from '../accounts/cookies.ts'
import type { AccountGrant, Origin, SignedIn } from '../accounts/index.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import { type App, type Context, problems } from './app.ts'
import { isLoopback } from './doors.ts'
import { isOfOwnPage } from './guard.ts'

const tags = ['your account']
/** A hundred may sign in at once, and a slow machine takes most of a second for each password. Less than a silent line lives. */
const SIGN_IN_MS = 100_000
const config = { scope: 'account' } as const
const done = { 204: z.void().describe('done'), ...problems }

/** Coming in, who it is, and going. */
export function sessionRoutes(app: App, { accounts, visitors }: Context): void {
  app.route({
    method: 'POST',
    url: '/session',
    config: { deadlineMs: SIGN_IN_MS },
    schema: {
      operationId: 'signIn',
      summary: 'Sign in with name and password, or with name@home, where home is a node of yours',
      tags,
      body: wire.signInBody,
      response: { 200: wire.signedIn, ...problems }
    },
    handler: async (req, reply) => {
      const { inBrowser, ...init } = req.body
      const origin = originOf(req, inBrowser)
      const { device } = readCookies(req.headers.cookie, req.headers.host!)
      const homes = visitors.homesOf(init.name)
      const entered =
        homes == null
          ? accounts.signIn({ ...init, device }, origin)
          : visitors.signIn({ ...init, device }, homes, origin)
      return answer(await entered, req, reply)
    }
  })

  app.route({
    method: 'GET',
    url: '/session',
    config,
    schema: {
      operationId: 'me',
      summary: 'Who asks, and what he may do',
      tags,
      response: { 200: wire.me, ...problems }
    },
    handler: async ({ grant }) => {
      const { id, scopes, expires, account, home } = grant!
      return {
        scopes: [...scopes],
        expires,
        ...(account == null
          ? {}
          : { account: home == null ? accounts.get(account.id) : visitors.account(id), session: id }),
        ...(home == null ? {} : { home: home.peer })
      }
    }
  })

  app.route({
    method: 'DELETE',
    url: '/session',
    config,
    schema: { operationId: 'signOut', summary: 'End the session that asks', tags, response: done },
    handler: async (req, reply) => {
      const { grant } = req
      // also where a home does not answer
      reply.header('set-cookie', writeCookies(jarOf(req), { session: '' }))
      if (grant?.home != null) await visitors.signOut(grant.id)
      else accounts.endSession(personOf(req).id)
      return reply.code(204).send()
    }
  })
}

/** How a person looks after his own account. */
export function personRoutes(app: App, { accounts }: Context): void {
  app.route({
    method: 'GET',
    url: '/account/sessions',
    config,
    schema: {
      operationId: 'ownSessions',
      summary: 'Where you are signed in',
      tags,
      response: { 200: wire.sessions, ...problems }
    },
    handler: async req => ({ items: accounts.sessions(personOf(req).account.id) })
  })

  app.route({
    method: 'DELETE',
    url: '/account/sessions/:id',
    config,
    schema: {
      operationId: 'endOwnSession',
      summary: 'End one of your sessions at once',
      tags,
      params: z.object({ id: z.string().min(1).max(64) }),
      response: done
    },
    handler: async (req, reply) => {
      const { id } = req.params
      if (!accounts.sessions(personOf(req).account.id).some(session => session.id === id))
        throw new NotFoundError(`you have no session ${id}`)
      accounts.endSession(id)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/account/password',
    config,
    schema: {
      operationId: 'changePassword',
      summary: 'Choose another password; your other sessions end',
      tags,
      body: wire.passwordBody,
      response: done
    },
    handler: async (req, reply) => {
      originOf(req, false)
      await accounts.changePassword(personOf(req), req.body)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/account/second-factor',
    config,
    schema: {
      operationId: 'enrolSecondFactor',
      summary: 'Begin a second factor (TOTP, RFC 6238); it counts once a code was confirmed',
      tags,
      response: { 200: wire.secondFactor, ...problems }
    },
    handler: async req => accounts.enrolSecondFactor(personOf(req))
  })

  app.route({
    method: 'POST',
    url: '/account/second-factor/confirm',
    config,
    schema: {
      operationId: 'confirmSecondFactor',
      summary: 'From now on a code is asked',
      tags,
      body: wire.codeBody,
      response: done
    },
    handler: async (req, reply) => {
      accounts.confirmSecondFactor(personOf(req), req.body.code)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/account/second-factor/remove',
    config,
    schema: {
      operationId: 'removeOwnSecondFactor',
      summary: 'Ask no code any more; takes one',
      tags,
      body: wire.codeBody,
      response: done
    },
    handler: async (req, reply) => {
      accounts.removeOwnSecondFactor(personOf(req), req.body.code)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/invitations/look',
    schema: {
      operationId: 'lookAtInvitation',
      summary: 'For whom an invitation is',
      tags,
      body: wire.lookBody,
      response: { 200: wire.invitation, ...problems }
    },
    handler: async ({ body: { code } }) => accounts.look(code)
  })

  app.route({
    method: 'POST',
    url: '/invitations/accept',
    config: { deadlineMs: SIGN_IN_MS },
    schema: {
      operationId: 'acceptInvitation',
      summary: 'Choose a password, and where it is free a name; signs in',
      tags,
      body: wire.acceptBody,
      response: { 200: wire.signedIn, ...problems }
    },
    handler: async (req, reply) => {
      const { inBrowser, ...init } = req.body
      return answer(await accounts.accept(init, originOf(req, inBrowser)), req, reply)
    }
  })
}

function personOf({ grant }: FastifyRequest): AccountGrant {
  if (grant?.home != null)
    throw new ForbiddenError('your account is at your home: sign in there to look after it')
  if (grant?.account == null)
    throw new ForbiddenError('this is for who signed in with a name; a token has no account')
  return grant as AccountGrant
}

/** From where, or why not from there: who listens on the way would have the password. */
function originOf(req: FastifyRequest, inBrowser: boolean | undefined): Origin {
  if (req.protocol !== 'https' && !isLoopback(req.socket.remoteAddress))
    throw new ForbiddenError(
      'passwords travel over TLS or from this machine only: put a proxy with TLS before the node, and allow it with the setting gateway.trustedProxyHosts; the messenger’s own listener takes a certificate'
    )
  if (inBrowser === true && !isOfOwnPage(req))
    throw new ForbiddenError('only the pages of this node sign in with cookies; take the token of the answer')
  return { address: req.ip, agent: req.headers['user-agent'] ?? '' }
}

const jarOf = ({ protocol, headers }: FastifyRequest) => ({
  host: headers.host!,
  isSecure: protocol === 'https'
})

function answer(
  { token, session, account, device }: SignedIn,
  req: FastifyRequest<{ Body: { inBrowser?: boolean } }>,
  reply: FastifyReply
): z.infer<typeof wire.signedIn> {
  if (req.body.inBrowser !== true) return { token, session, account }
  reply.header('set-cookie', writeCookies(jarOf(req), { session: token, device }))
  return { session, account }
}
