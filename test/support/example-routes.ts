// A route table like that of a served resource, for tests of the document and of the pages made from it.
import { ANY_SCOPE } from '../../src/access/scopes.ts'
import { AppError } from '../../src/core/errors.ts'
import { createHealthRoutes } from '../../src/http/health.ts'
import { createRootRoutes } from '../../src/http/root.ts'
import { json, route, type BodyContract, type JsonSchema, type Route } from '../../src/http/route.ts'
import { anyOf, everyone, owner, role, signedIn, t } from '../../src/sdk.ts'

interface Item {
  id: number
  name: string
  price: number
}

const FIELDS = {
  name: { type: 'string', minLength: 1, maxLength: 200, title: 'What it is called' },
  price: { type: 'number', minimum: 0, description: 'In euro', examples: [20] },
}
const ITEM: JsonSchema = {
  title: 'Item',
  type: 'object',
  properties: { id: { type: 'integer' }, ...FIELDS },
  required: ['id', 'name', 'price'],
  additionalProperties: false,
}
const INPUT: JsonSchema = {
  title: 'ItemInput',
  type: 'object',
  properties: FIELDS,
  required: ['name', 'price'],
  additionalProperties: false,
}
const CHANGE: JsonSchema = { ...INPUT, title: 'ItemChange', required: [] }
const LIST: JsonSchema = {
  title: 'ItemList',
  type: 'object',
  properties: { data: { type: 'array', items: ITEM }, total_items: { type: 'integer' } },
  required: ['data', 'total_items'],
}
const EXAMPLE: Item = { id: 1, name: 'Flask', price: 20 }
const INPUT_EXAMPLE = { name: 'Flask', price: 20 }

const ONE_OR_MANY: JsonSchema = {
  oneOf: [INPUT, { type: 'array', items: INPUT, minItems: 1, maxItems: 1000 }],
}
const PARAMS = { id: { type: 'integer', minimum: 1, description: 'The id of the item' } }
const item = (description: string) => ({ description, schema: ITEM, example: EXAMPLE })

/** Tags of these routes and what they are for. */
export const EXAMPLE_TAGS = {
  Items: 'Things for sale',
  Accounts: 'Who you are',
  System: 'What this server is and how it does',
  Unused: 'Is not in the document',
}

/** `created` gets every item that is made. */
export function createExampleRoutes(created: Item[] = []): Route[] {
  return [
    ...createRootRoutes({ version: '0.1.0', env: 'development', resources: ['items'], docs: true }),
    ...createHealthRoutes({ isReady: () => true }),
    ...itemRoutes(created),
    ...accountRoutes(),
  ]
}

function itemRoutes(created: Item[]): Route[] {
  const common = { tag: 'Items' } as const
  const body = (schema: JsonSchema): BodyContract<any> => ({
    schema,
    example: INPUT_EXAMPLE,
    parse: (value) => value,
  })
  const handler = () => EXAMPLE
  return [
    route({
      ...common,
      method: 'GET',
      path: '/api/items',
      operationId: 'listItems',
      summary: 'List items',
      access: everyone(),
      scope: 'items:read',
      query: t.Object({
        page: t.Optional(t.Integer({ minimum: 1, maximum: 1000, default: 1, description: 'From 1' })),
        limit: t.Integer({ minimum: 1, maximum: 100, deprecated: true }),
      }),
      responses: {
        200: {
          description: 'A page of items',
          schema: LIST,
          example: { data: [EXAMPLE], total_items: 1 },
          headers: { Link: 'The pages around this one (RFC 8288)' },
        },
      },
      handler: () => ({ data: created, total_items: created.length }),
    }),
    route({
      ...common,
      method: 'POST',
      path: '/api/items',
      operationId: 'createItem',
      summary: 'Create an item, or several',
      access: signedIn(),
      scope: 'items:write',
      body: body(ONE_OR_MANY),
      responses: { 201: { ...item('The item'), headers: { Location: 'Where the item is' } } },
      errors: ['conflict'],
      handler({ body: input, reply }) {
        const made = { id: created.length + 1, ...(input as Omit<Item, 'id'>) }
        created.push(made)
        return reply(201, made, { location: `/api/items/${made.id}` })
      },
    }),
    route({
      ...common,
      method: 'GET',
      path: '/api/items/:id',
      operationId: 'readItem',
      summary: 'Read an item',
      access: anyOf(everyone(), role('editor')),
      params: PARAMS,
      responses: { 200: item('The item') },
      handler,
    }),
    route({
      ...common,
      method: 'PUT',
      path: '/api/items/:id',
      operationId: 'replaceItem',
      summary: 'Replace an item',
      access: owner(),
      params: PARAMS,
      body: body(INPUT),
      responses: { 200: item('The item') },
      errors: ['conflict'],
      handler,
    }),
    route({
      ...common,
      method: 'PATCH',
      path: '/api/items/:id',
      operationId: 'updateItem',
      summary: 'Change an item',
      access: () => true,
      params: PARAMS,
      body: { ...body(CHANGE), mediaTypes: ['application/merge-patch+json'] },
      responses: { 200: item('The item') },
      errors: ['conflict'],
      handler,
    }),
    route({
      ...common,
      method: 'DELETE',
      path: '/api/items/:id',
      operationId: 'deleteItem',
      summary: 'Delete an item',
      access: owner(),
      params: PARAMS,
      responses: { 200: item('The deleted item') },
      handler,
    }),
  ]
}

function accountRoutes(): Route[] {
  const User = t.Object({ id: t.String({ format: 'uuid' }), name: t.String() }, { title: 'User' })
  const user = { id: '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75', name: 'Ada' }
  const Tokens = t.Object({ access_token: t.String(), token_type: t.Literal('Bearer') }, { title: 'Tokens' })
  const Login = { title: 'Login', type: 'object', properties: { email: { type: 'string' } } }
  const tokens = { access_token: 'a', token_type: 'Bearer' } as const
  const common = { tag: 'Accounts', noStore: true } as const
  return [
    route({
      ...common,
      method: 'POST',
      path: '/auth/register',
      operationId: 'register',
      summary: 'Make an account',
      access: everyone(),
      credentials: 'ignored',
      body: { schema: { ...Login, title: 'Registration' }, parse: () => user },
      responses: { 201: json('The user', User, { example: user }) },
      errors: ['conflict', 'forbidden'],
      handler: () => user,
    }),
    route({
      ...common,
      method: 'POST',
      path: '/auth/login',
      operationId: 'login',
      summary: 'Sign in',
      access: everyone(),
      credentials: 'ignored',
      body: { schema: Login, parse: () => user },
      responses: { 200: json('Tokens', Tokens, { example: tokens }) },
      errors: ['invalid_credentials'],
      handler: () => tokens,
    }),
    route({
      ...common,
      method: 'GET',
      path: '/auth/me',
      operationId: 'readOwnAccount',
      summary: 'Read your account',
      access: signedIn(),
      scope: ANY_SCOPE,
      responses: { 200: json('The user', User, { example: user }) },
      handler: ({ principal }) => {
        if (principal.id === null) throw new AppError('not_found')
        return { id: principal.id, name: 'Ada' }
      },
    }),
  ]
}
