// A resource: this file alone gives the table, the routes under /api/items, their checks and their documentation.
// Change it, or put another file beside it; every file of this folder is one resource.
import { defineResource, everyone, owner, signedIn, t } from 'hipflask'

export default defineResource({
  name: 'items',

  // What a record is. The server adds id, created_at, updated_at and, as `owned` is set, owner_id.
  schema: t.Object({
    name: t.String({ minLength: 1, maxLength: 200, search: true }),
    price: t.Number({ minimum: 0, index: true, description: 'In euro, without tax' }),
    description: t.Optional(t.String({ maxLength: 5000 })),
    in_stock: t.Boolean({ default: true }),
  }),
  owned: true,

  // Who may do what. An action that is not named here is for administrators.
  access: { list: everyone(), read: everyone(), create: signedIn(), update: owner(), delete: owner() },
})
