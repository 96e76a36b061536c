"""The rim: card readers and POS protocols. Bytes in, kernel values out; imports loyalty and nothing else of ours."""
