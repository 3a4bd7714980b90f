using Fossil.Models.Chat;
using Fossil.Models.Data;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models;

/// <summary>Data files as sequences of tokens.</summary>
public static class ChatData
{
    /// <summary>
    /// Rows of JSON files (<see cref="JsonRows"/>) in the forms that TRL, OpenAI, ShareGPT and Alpaca have (<see cref="DataExamples"/>); only the answers are learned, with the markers that end them.
    /// </summary>
    /// <param name="path">The file: <c>.jsonl</c> or <c>.json</c>, compressed by gzip or not.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="maxLength">Tokens of the longest sequence; longer ones lose their end.</param>
    /// <param name="template">
    /// How conversations are written. Null: that of the tokenizer for lines with <c>messages</c>, while a prompt and its completion are text as they stand, with the
    /// end-of-text token behind. Where a template is given, a prompt is the user's turn.
    /// </param>
    /// <param name="pack">Whether short examples share a sequence, without seeing each other; otherwise batches are padded.</param>
    /// <returns>The data; its report names the fields of which nothing is in the text.</returns>
    /// <exception cref="TrainingDataException">A line is malformed, its conversation does not fit the template, or the template leaves out what it says; it names file and line.</exception>
    /// <exception cref="ChatTemplateException">The tokenizer's template is malformed.</exception>
    public static TokenData FromJsonl(string path, PretrainedTokenizer tokenizer, int maxLength, ChatTemplate? template = null, bool pack = false) =>
        FromRows(JsonRows.Read(path), tokenizer, maxLength, path, template, pack);

    /// <summary>The same for several files, one behind another.</summary>
    /// <inheritdoc cref="FromJsonl(string, PretrainedTokenizer, int, ChatTemplate?, bool)"/>
    /// <param name="paths">The files.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="maxLength">Tokens of the longest sequence; longer ones lose their end.</param>
    /// <param name="template">As for one file.</param>
    /// <param name="pack">As for one file.</param>
    public static TokenData FromJsonl(IReadOnlyList<string> paths, PretrainedTokenizer tokenizer, int maxLength, ChatTemplate? template = null, bool pack = false) =>
        FromRows(JsonRows.Read(paths), tokenizer, maxLength, string.Join(", ", paths), template, pack);

    /// <summary>The same for rows from anywhere, such as Parquet files. They are read once, one at a time, and nothing is kept of them but their tokens.</summary>
    /// <inheritdoc cref="FromJsonl(string, PretrainedTokenizer, int, ChatTemplate?, bool)"/>
    /// <param name="rows">The rows.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="maxLength">Tokens of the longest sequence; longer ones lose their end.</param>
    /// <param name="description">Where the rows come from, for messages.</param>
    /// <param name="template">As for a file.</param>
    /// <param name="pack">As for a file.</param>
    public static TokenData FromRows(IEnumerable<DataRow> rows, PretrainedTokenizer tokenizer, int maxLength, string description, ChatTemplate? template = null, bool pack = false)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var encoder = new ExampleEncoder(tokenizer, template);
        return TokenData.FromExamples(rows.Select(row => encoder.Encode(DataExamples.Parse(row))), maxLength, tokenizer.PadTokenId ?? tokenizer.EosTokenId ?? 0, description, pack, encoder.Counts);
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
