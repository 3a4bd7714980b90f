using Fossil.Models;
using Fossil.Models.Tokenizers;

/// <summary>Text to tokens and back: by the model's tokenizer.json, or by bytes where it has none.</summary>
/// <param name="Encode">Text to tokens.</param>
/// <param name="Decode">Tokens to text.</param>
/// <param name="Unit">What a token is called.</param>
/// <param name="SampleTokens">Tokens of a sample text of a few lines.</param>
internal sealed record TextCodec(Func<string, int[]> Encode, Func<IEnumerable<int>, string> Decode, string Unit, int SampleTokens)
{
    public static TextCodec Of(string folder)
    {
        if (!File.Exists(Path.Combine(folder, "tokenizer.json"))) return new(ByteTokenizer.Encode, ByteTokenizer.Decode, "byte", 300);
        var tokenizer = PretrainedTokenizer.FromPretrained(folder);
        return new(text => tokenizer.Encode(text), ids => tokenizer.Decode(ids), "token", 80);
    }
}
