import { z } from 'zod'
import * as wire from '../accounts/schema.ts'
import { type App, type Context, problems } from '../app.ts'
import { SCOPES } from '../schema.ts'

const tags = ['accounts']
const config = { scope: 'admin' } as const
const params = z.object({ id: z.string().min(1).max(64) })
const gone = { 204: z.void().describe('gone'), ...problems }
const LIST_BYTES = 4 * wire.MAX_LIST_CHARS

/** What the owner does with the people of his node. */
export function accountRoutes(app: App, { accounts }: Context): void {
  app.route({
    method: 'GET',
    url: '/accounts',
    config,
    schema: {
      operationId: 'accounts',
      summary: 'Everybody who may sign in',
      tags,
      response: { 200: wire.accounts, ...problems }
    },
    handler: async () => ({ items: accounts.list() })
  })

  app.route({
    method: 'POST',
    url: '/accounts',
    config,
    schema: {
      operationId: 'addAccount',
      summary: 'Make an account; with the code of the answer its person chooses a password',
      tags,
      body: wire.accountBody,
      response: { 201: wire.newInvitation, ...problems }
    },
    handler: async ({ body }, reply) => reply.code(201).send(accounts.create(body))
  })

  app.route({
    method: 'PATCH',
    url: '/accounts/:id',
    config,
    schema: {
      operationId: 'changeAccount',
      summary: 'Give another role, disable or enable; its sessions end',
      tags,
      params,
      body: wire.accountPatch,
      response: { 200: wire.account, ...problems }
    },
    handler: async ({ params: { id }, body }) => accounts.change(id, body)
  })

  app.route({
    method: 'DELETE',
    url: '/accounts/:id',
    config,
    schema: {
      operationId: 'removeAccount',
      summary: 'Remove an account for good',
      tags,
      params,
      response: gone
    },
    handler: async ({ params: { id } }, reply) => {
      accounts.remove(id)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/accounts/:id/reset',
    config,
    schema: {
      operationId: 'resetAccount',
      summary: 'End the password and all sessions; with the code of the answer its person chooses a new one',
      tags,
      params,
      response: { 201: wire.newInvitation, ...problems }
    },
    handler: async ({ params: { id } }, reply) => reply.code(201).send(accounts.reset(id))
  })

  app.route({
    method: 'DELETE',
    url: '/accounts/:id/second-factor',
    config,
    schema: {
      operationId: 'removeSecondFactor',
      summary: 'Ask no code any more, for who lost the telephone',
      tags,
      params,
      response: gone
    },
    handler: async ({ params: { id } }, reply) => {
      accounts.removeSecondFactor(id)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'POST',
    url: '/accounts/import',
    config,
    bodyLimit: LIST_BYTES,
    schema: {
      operationId: 'importAccounts',
      summary: 'Bring in a list of people: all of it, or, where a line is wrong, nothing',
      tags,
      body: wire.importBody,
      response: { 200: wire.imported, ...problems }
    },
    handler: async ({ body: { list, ...init } }) => accounts.importList(list, init)
  })

  app.route({
    method: 'GET',
    url: '/sessions',
    config,
    schema: {
      operationId: 'sessions',
      summary: 'Where people are signed in, newest use first',
      tags,
      querystring: z.object({ account: z.string().max(64).optional().describe('id; default: of all') }),
      response: { 200: wire.sessions, ...problems }
    },
    handler: async ({ query: { account } }) => ({ items: accounts.sessions(account) })
  })

  app.route({
    method: 'DELETE',
    url: '/sessions/:id',
    config,
    schema: { operationId: 'endSession', summary: 'End a session at once', tags, params, response: gone },
    handler: async ({ params: { id } }, reply) => {
      accounts.endSession(id)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'GET',
    url: '/invitations',
    config,
    schema: {
      operationId: 'invitations',
      summary: 'Invitations that were not accepted yet',
      tags,
      response: { 200: wire.invitations, ...problems }
    },
    handler: async () => ({ items: accounts.invitations() })
  })

  app.route({
    method: 'POST',
    url: '/invitations',
    config,
    schema: {
      operationId: 'invite',
      summary: 'Invite somebody who chooses name and password; the code is shown only now',
      tags,
      body: wire.invitationBody,
      response: { 201: wire.newInvitation, ...problems }
    },
    handler: async ({ body }, reply) => reply.code(201).send(accounts.invite(body))
  })

  app.route({
    method: 'DELETE',
    url: '/invitations/:id',
    config,
    schema: {
      operationId: 'withdrawInvitation',
      summary: 'Make an invitation worthless',
      tags,
      params,
      response: gone
    },
    handler: async ({ params: { id } }, reply) => {
      accounts.withdraw(id)
      return reply.code(204).send()
    }
  })

  app.route({
    method: 'GET',
    url: '/roles',
    config,
    schema: {
      operationId: 'roles',
      summary: 'What people may do, by role',
      tags,
      response: { 200: wire.roles, ...problems }
    },
    handler: async () => ({
      items: accounts.roles().map(({ name, scopes }) => ({ name, scopes: [...scopes] })),
      scopes: SCOPES.filter(scope => scope !== 'admin')
    })
  })

  app.route({
    method: 'POST',
    url: '/roles',
    config,
    schema: {
      operationId: 'setRole',
      summary: 'Make a role, or give one other scopes; the sessions of its people end',
      tags,
      body: wire.roleRow,
      response: { 200: wire.roleRow, ...problems }
    },
    handler: async ({ body }) => {
      accounts.setRole(body)
      return body
    }
  })

  app.route({
    method: 'DELETE',
    url: '/roles/:id',
    config,
    schema: {
      operationId: 'removeRole',
      summary: 'Remove a role that nobody has',
      tags,
      params,
      response: gone
    },
    handler: async ({ params: { id } }, reply) => {
      accounts.removeRole(id)
      return reply.code(204).send()
    }
  })
}
