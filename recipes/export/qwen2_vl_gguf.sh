#!/usr/bin/env bash
# Task      export: GGUF files for llama.cpp's server, its boxes compared with torch's on large and on non-square images
# Model     Qwen/Qwen2-VL-2B-Instruct with an adapter
# Method    llama.cpp's converter, language model and image encoder in float32; the server with the training's pixel limits
# Hardware  a CPU with memory for the model in 32 bits, three times
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs llama.cpp, built from its source
# Note      llama.cpp pads an image where its aspect ratio changes, and ignores EXIF: send images upright and resized (docs/edge.md)
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

LLAMA_CPP=${LLAMA_CPP:-} # folder of llama.cpp with convert_hf_to_gguf.py and build/bin/llama-server
SPLITS_AS=${SPLITS_AS:-} # llama.cpp's name of how a tokenizer splits text, for one that it does not know: qwen2 for the quickstart's
SIDE=${SIDE:-28} # px of the square that one image token covers: 28 in Qwen2-VL and Qwen2.5-VL, 32 in Qwen3-VL
CONTEXT=${CONTEXT:-8192} # tokens of image, question and answer
LIMIT=${LIMIT:-8} # rows of TEST
SIZES=${SIZES:-1x 3x 1600x400} # of the images, which are resized to them
TOLERANCE=${TOLERANCE:-0.05} # loss of agreement that is allowed
BUILD="Build it: cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-server, then LLAMA_CPP=llama.cpp"
need_file LLAMA_CPP "$BUILD"
need_rows
for file in convert_hf_to_gguf.py build/bin/llama-server; do
  [ -n "$DRY_RUN" ] || [ -e "$LLAMA_CPP/$file" ] || stop "LLAMA_CPP=$LLAMA_CPP has no $file. $BUILD"
done

step "merge the adapter into the base model"
run swift export --adapters "$ADAPTERS" --merge_lora true --output_dir "$OUT/merged"
show python "$RECIPES/export/check_merged.py" "$OUT/merged" --adapters "$ADAPTERS"

step "convert the language model and the image encoder"
splits=(${SPLITS_AS:+--splits-as "$SPLITS_AS"})
run python "$RECIPES/export/to_gguf.py" "$LLAMA_CPP" "$OUT/merged" "${splits[@]}" --outtype f32 --outfile "$OUT/model.gguf"
run python "$RECIPES/export/to_gguf.py" "$LLAMA_CPP" "$OUT/merged" "${splits[@]}" --outtype f32 --mmproj --outfile "$OUT/image_encoder.gguf"

step "start the server" # --special: without it the tokens that surround boxes are missing in the text; a GGUF has no pixel limits
serve "$LLAMA_CPP/build/bin/llama-server" -m "$OUT/model.gguf" --mmproj "$OUT/image_encoder.gguf" --host 127.0.0.1 --port "$PORT" \
  --special --ctx-size "$CONTEXT" --parallel 1 --image-min-tokens $((${MIN_PIXELS:-3136} / SIDE / SIDE)) \
  --image-max-tokens $((${MAX_PIXELS:-12845056} / SIDE / SIDE)) "$@"

step "compare boxes with torch's"
sizes=()
for size in $SIZES; do sizes+=(--size "$size"); done
show groundswift parity "$TEST" --way torch="$OUT/merged:fp32" --way gguf="http://127.0.0.1:$PORT" \
  "${sizes[@]}" --limit "$LIMIT" --max-new-tokens "$MAX_NEW_TOKENS" --tolerance "$TOLERANCE" --out "$OUT/parity"
printf '\nfiles    %s %s\nreport   %s\nlog      %s\n' "$OUT/model.gguf" "$OUT/image_encoder.gguf" "$OUT/parity/report.html" "$LOG"
