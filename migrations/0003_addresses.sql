-- Where the states of a speed layer are read, beside the address that every member has.
ALTER TABLE members ADD COLUMN flight TEXT;
