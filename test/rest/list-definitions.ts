// Declarations that the tests of lists work on: a field of every kind, every exposure, references of every sort.
import { defineResource, everyone, signedIn, t, type Resource } from '../../src/sdk.ts'
import { defineFrom, type ResourceDefinition } from '../../src/rest/resource.ts'

const define = (resource: unknown): ResourceDefinition => defineFrom(resource as Resource)
const open = { list: everyone(), read: everyone() }

export const authors = define(
  defineResource({
    name: 'authors',
    id: 'uuid',
    schema: t.Object({
      name: t.String(),
      secret: t.Optional(t.String({ hidden: true })),
      pin: t.Optional(t.String({ writeOnly: true })),
      visible: t.Boolean({ default: true }),
    }),
    access: {
      list: everyone(),
      read: (principal) => (principal.kind === 'anonymous' ? { visible: true } : true),
    },
  }),
)

export const editors = define(
  defineResource({
    name: 'editors',
    schema: t.Object({ name: t.String() }),
    access: { read: signedIn() },
  }),
)

export const books = define(
  defineResource({
    name: 'books',
    schema: t.Object({
      title: t.String({ search: true }),
      author_id: t.Optional(t.String({ references: 'authors' })),
      editor_id: t.Optional(t.Integer({ references: 'editors' })),
      sequel_of: t.Optional(t.Integer({ references: 'books' })),
      hidden_id: t.Optional(t.String({ references: 'authors', hidden: true })),
      shop_id: t.Optional(t.String({ references: 'authors' })),
      shop: t.Optional(t.String()),
      price: t.Optional(t.Number({ minimum: 0, maximum: 100 })),
      pages: t.Optional(t.Nullable(t.Integer())),
      sold: t.Boolean({ default: false }),
      kind: t.Optional(t.Enum(['novel', 'null', 'a,b'])),
      size: t.Optional(t.Nullable(t.Union([t.Literal(1), t.Literal(2)]))),
      day: t.Optional(t.String({ format: 'date' })),
      moment: t.Optional(t.String({ format: 'date-time' })),
      isbn: t.Optional(t.String({ format: 'uuid' })),
      mail: t.Optional(t.String({ format: 'email', maxLength: 20 })),
      tags: t.Optional(t.Array(t.String())),
      place: t.Optional(t.Object({ city: t.String() })),
      secret: t.Optional(t.String({ hidden: true })),
      pin: t.Optional(t.String({ writeOnly: true })),
      state: t.String({ readOnly: true, default: 'new' }),
    }),
    owned: true,
    access: open,
    pageSize: 10,
    pageSizeMax: 100,
  }),
)

/** Soft-deleted, not owned, with nothing to search or expand. */
export const notes = define(
  defineResource({
    name: 'notes',
    id: 'uuid',
    schema: t.Object({ text: t.String() }),
    access: open,
    softDelete: true,
  }),
)

export const resources: readonly ResourceDefinition[] = [authors, editors, books, notes]
