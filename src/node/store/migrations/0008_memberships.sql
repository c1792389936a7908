-- What clients say of memberships. The node can neither make it nor read it.

ALTER TABLE members ADD COLUMN proof BLOB CHECK (length(proof) = 81); -- for the other members
ALTER TABLE members ADD COLUMN kept BLOB CHECK (length(kept) = 117 AND (kept IS NULL) = (proof IS NULL)); -- ciphertext
