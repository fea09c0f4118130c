// The words of a search. Whatever the text: what an engine is given are words, never its own query language.

/** Words of one search; those beyond are passed over. */
export const SEARCH_WORDS_MAX = 10
/** Characters of one word; those beyond are cut off. */
export const SEARCH_WORD_LENGTH_MAX = 64

/** The words of the text, in its order; none where it has neither letters nor digits. */
export function searchWords(text: string): string[] {
  const words = text.normalize('NFC').match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  return words
    .slice(0, SEARCH_WORDS_MAX)
    .map((word) => Array.from(word).slice(0, SEARCH_WORD_LENGTH_MAX).join(''))
}
