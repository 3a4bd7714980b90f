using Fossil.Models.Chat;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models;

/// <summary>Data files as sequences of tokens.</summary>
public static class ChatData
{
    /// <summary>
    /// Conversations, or prompts with completions, one JSON object a line (see <see cref="JsonlReader"/>); only the answers are learned, with the markers that end them.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="maxLength">Tokens of the longest sequence; longer ones lose their end.</param>
    /// <param name="template">
    /// How conversations are written. Null: that of the tokenizer for lines with <c>messages</c>, while a prompt and its completion are text as they stand, with the
    /// end-of-text token behind. Where a template is given, a prompt is the user's turn.
    /// </param>
    /// <param name="pack">Whether short examples share a sequence, without seeing each other; otherwise batches are padded.</param>
    /// <exception cref="TrainingDataException">A line is malformed, or its conversation does not fit the template; it names file and line.</exception>
    /// <exception cref="ChatTemplateException">The tokenizer's template is missing or unknown, and is needed.</exception>
    public static TokenData FromJsonl(string path, PretrainedTokenizer tokenizer, int maxLength, ChatTemplate? template = null, bool pack = false)
    {
        var fallback = new Lazy<ChatTemplate>(() => ChatTemplate.Of(tokenizer));
        return TokenData.FromExamples(
            JsonlReader.Read(path).Select(example => example.IsPlainText && template is null ? EncodePlain(example) : EncodeChat(example)),
            maxLength, tokenizer.PadTokenId ?? tokenizer.EosTokenId ?? 0, path, pack);

        TokenExample EncodePlain(JsonlExample example)
        {
            var prompt = tokenizer.Encode(example.Turns[0].Content, parseSpecialTokens: false);
            int[] completion = [.. tokenizer.Encode(example.Turns[1].Content, addSpecialTokens: false, parseSpecialTokens: false), .. tokenizer.EosTokenId is { } end ? [end] : Array.Empty<int>()];
            return new([.. prompt, .. completion], [.. prompt.Select(_ => false), .. completion.Select(_ => true)]);
        }

        TokenExample EncodeChat(JsonlExample example)
        {
            var chosen = template ?? fallback.Value;
            try
            {
                var (ids, isLearned) = chosen.EncodeForTraining(tokenizer, example.Turns);
                return new(ids, isLearned);
            }
            catch (ChatTemplateException exception)
            {
                throw new TrainingDataException(path, example.Line, exception.Message, exception);
            }
        }
    }

    /// <summary>A text in consecutive windows, every token of which is learned.</summary>
    /// <param name="path">The file, UTF-8.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="length">Tokens of a window.</param>
    /// <exception cref="TrainingDataException">The file cannot be read, or is shorter than a window.</exception>
    public static TokenData FromText(string path, PretrainedTokenizer tokenizer, int length)
    {
        try
        {
            return TokenData.FromWindows(tokenizer.Encode(File.ReadAllText(path), parseSpecialTokens: false), length, path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TrainingDataException(path, 0, $"cannot be read: {exception.Message}", exception);
        }
    }
}
