// What hipflask is measured against: the same routes as an experienced user of Elysia and bun:sqlite writes them by
// hand, without accounts, rules, links or request ids. It stands alone and takes nothing from src.
import { Database } from 'bun:sqlite'
import { jwt } from '@elysiajs/jwt'
import { Elysia, t } from 'elysia'

interface Row {
  id: number
  name: string
  price: number
  description: string | null
  in_stock: number
  created_at: string
  updated_at: string
}

const database = new Database('rival.db', { strict: true })
// NORMAL: the latest writes may be lost in a power cut. It is what people choose for speed.
database.run('PRAGMA journal_mode = WAL')
database.run('PRAGMA synchronous = NORMAL')
database.run('PRAGMA busy_timeout = 5000')
database.run('PRAGMA foreign_keys = ON')
database.run(`
  CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    price REAL NOT NULL,
    description TEXT,
    in_stock INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  ) STRICT
`)

const selectOne = database.prepare<Row, [number]>('SELECT * FROM items WHERE id = ?')
const selectPage = database.prepare<Row, [number, number]>('SELECT * FROM items ORDER BY id LIMIT ? OFFSET ?')
const countAll = database.prepare<{ total: number }, []>('SELECT COUNT(*) AS total FROM items')
const insert = database.prepare<Row, [string, number, string | null, number, string, string]>(`
  INSERT INTO items (name, price, description, in_stock, created_at, updated_at)
  VALUES (?, ?, ?, ?, ?, ?)
  RETURNING *
`)

const Item = t.Object({
  name: t.String({ minLength: 1, maxLength: 200 }),
  price: t.Number({ minimum: 0 }),
  description: t.Optional(t.String({ maxLength: 5000 })),
  in_stock: t.Boolean({ default: true }),
})
const Page = t.Object({
  page: t.Integer({ minimum: 1, default: 1 }),
  limit: t.Integer({ minimum: 1, maximum: 100, default: 10 }),
})

const Id = t.Object({ id: t.Integer({ minimum: 1 }) })

const app = new Elysia()
  .use(jwt({ name: 'jwt', secret: 'of a server that is measured, 32 bytes', exp: '1h' }))
  .get('/health/ready', () => ({ status: 'ok' }))
  .get(
    '/api/items/:id',
    ({ params, status }) => {
      const row = selectOne.get(params.id)
      return row === null ? status(404, { message: 'Not found' }) : toItem(row)
    },
    { params: Id },
  )
  // Anybody signs in: it is the check of the token that is measured.
  .post('/auth/login', async ({ jwt }) => ({ access_token: await jwt.sign({ sub: '1', role: 'user' }) }))
  .get(
    '/api/private-items/:id',
    async ({ headers, jwt, params, status }) => {
      const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
      if ((await jwt.verify(token)) === false) return status(401, { message: 'Sign in first' })
      const row = selectOne.get(params.id)
      return row === null ? status(404, { message: 'Not found' }) : toItem(row)
    },
    { params: Id },
  )
  .get(
    '/api/items',
    ({ query: { page, limit } }) => {
      const total = countAll.get()?.total ?? 0
      const data = selectPage.all(limit, (page - 1) * limit).map(toItem)
      return { data, total, pages: Math.ceil(total / limit), page, limit }
    },
    { query: Page },
  )
  .post(
    '/api/items',
    ({ body, status }) => {
      const { name, price, description = null, in_stock } = body
      const now = new Date().toISOString()
      // Not `get`: it leaves the statement before its end, where SQLite would copy the log into the database. The log of
      // a server that does so grows without end, and each of its creates takes twice as long.
      const [row] = insert.all(name, price, description, in_stock ? 1 : 0, now, now)
      return status(201, toItem(row as Row))
    },
    { body: Item },
  )
  .listen({ hostname: '127.0.0.1', port: 0 })

console.log(`Rival is serving http://127.0.0.1:${app.server?.port}`)

function toItem(row: Row) {
  return { ...row, in_stock: row.in_stock === 1 }
}
