// A data set in a Parquet file, as tokens to learn from.
using System.Text.Json.Nodes;
using Fossil.Data;
using Fossil.Models;
using Fossil.Models.Chat;
using Fossil.Models.Tokenizers;

// A vocabulary of printable ASCII.
var vocabulary = new JsonObject { ["\u0120"] = 0, ["\u010A"] = 1 };
for (var character = '!'; character <= '~'; character++) vocabulary[character.ToString()] = vocabulary.Count;
Directory.CreateDirectory("tokenizer");
File.WriteAllText("tokenizer/tokenizer.json", new JsonObject
{
    ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
    ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
}.ToJsonString());
File.WriteAllText("tokenizer/tokenizer_config.json", "{}");

var tokenizer = PretrainedTokenizer.FromPretrained("tokenizer");
var template = ChatTemplate.Parse("{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}");
var data = ChatData.FromRows(ParquetRows.Read(["rows.parquet"], ["messages"]).Take(1), tokenizer, 256, "rows.parquet", template);
using var batch = data.GetBatch([0]);
Console.WriteLine(tokenizer.Decode(batch.InputIds.data<long>().Select(id => (int)id)));
Console.WriteLine($"learned: {tokenizer.Decode(batch.Targets.data<long>().Select(id => (int)id)).Trim()}");
